//! Process 1 of the ramdisk, or a command line; no logic.

use ferrite::sys::wiping::ZeroizingAllocator;
use ferrite::{cli, init, logging};
use std::process::ExitCode;

/// No buffer that a secret went through keeps it.
#[global_allocator]
static ALLOCATOR: ZeroizingAllocator = ZeroizingAllocator;

fn main() -> ExitCode {
    // The kernel starts the ramdisk's /init as process 1 with arguments of its own.
    if std::process::id() == 1 {
        init::run(&logging::start());
    }
    cli::run()
}
