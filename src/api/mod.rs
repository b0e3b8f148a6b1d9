//! The agent's HTTP(S) API: what the conductor calls (contract of IPA's `api/app`).
