//! What the bench writes images with to see what wiping costs: the same code as in itself, with the program's allocator.

#![allow(clippy::print_stdout, reason = "numbers are told to the bench")]

mod child;
mod field;
#[allow(dead_code, reason = "the bench tells, this one only measures")]
mod report;

use ferrite::sys::wiping::ZeroizingAllocator;

/// The program's own.
#[global_allocator]
static MEMORY: ZeroizingAllocator = ZeroizingAllocator;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    child::run(&arguments)
}
