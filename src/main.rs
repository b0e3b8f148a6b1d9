//! Arguments, subcommand, exit code; no logic.

fn main() {}
