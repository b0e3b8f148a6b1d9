//! The generations of Ironic that Ferrite is tried with: one release of each cycle, as pinned in
//! `tests/support/requirements/`.
//!
//! All of them run with the one configuration of `ironic.rs`: what a release has no option for, it passes over. What they
//! need of Python (`setuptools` below 80, SQLAlchemy 1 for the oldest) is pinned with them.

/// A release of Ironic, and what an agent sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version on PyPI, which names its requirement file and its environment.
    pub ironic: &'static str,
    /// The OpenStack cycle.
    pub cycle: &'static str,
    /// Whether its requests to `GET /v1/commands` carry the agent token.
    pub token_on_read: bool,
}

/// Oldest first.
pub const RELEASES: [Release; 8] = [
    OLDEST,
    release("23.0.5", "2023.2", true),
    release("24.1.5", "2024.1", true),
    BETWEEN,
    release("29.1.0", "2025.1", true),
    release("32.1.0", "2025.2", true),
    release("35.1.0", "2026.1", true),
    NEWEST,
];

/// The oldest.
pub const OLDEST: Release = release("21.4.4", "2023.1", false);

/// One between, for a quick look.
pub const BETWEEN: Release = release("26.1.6", "2024.2", true);

/// The one that all other scenarios run with.
pub const NEWEST: Release = release("39.0.0", "2026.2", true);

const fn release(ironic: &'static str, cycle: &'static str, token_on_read: bool) -> Release {
    Release {
        ironic,
        cycle,
        token_on_read,
    }
}
