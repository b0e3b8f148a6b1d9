//! The life of the service: builds every room, owns the tasks, decides when the agent ends.
