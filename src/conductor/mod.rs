//! The agent's requests to Ironic: version negotiation, lookup, heartbeat.
