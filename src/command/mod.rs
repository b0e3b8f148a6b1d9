//! Commands: their table, the one-at-a-time dispatcher, the records the conductor reads.
