//! TLS: the one provider, client and server settings, the agent's own certificate.
