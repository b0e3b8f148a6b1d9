//! `make bench`: sizes, start-up, memory and write rates, each with its unit and how it was measured.
//!
//! Numbers are for reading: one over its limit is marked, and changes no exit code. What cannot be measured is told, and
//! does.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

mod agent;
mod beside;
mod child;
mod contender;
mod crash;
mod field;
mod images;
mod ironic;
mod load;
mod machine;
mod memory;
mod policy;
mod report;
mod server;
mod sizes;
mod start;
mod token;
mod wiping;
mod writer;
mod writing;
mod writing_beside;

use anyhow::{Context, Result};
use report::Section;
use std::fs;
use std::num::NonZero;
use std::process::ExitCode;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // `cargo bench` says it last, after what somebody gave.
        _ if arguments.iter().any(|argument| argument == "--bench") => bench(&arguments),
        Some(child::ARGUMENT) => write(&arguments),
        // A test runner that asks for a list of tests: there are none here.
        _ => ExitCode::SUCCESS,
    }
}

/// Measures everything, or what is named.
fn bench(arguments: &[String]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = match runtime.context("starting the bench's runtime") {
        Ok(runtime) => runtime,
        Err(error) => return fail("nothing", &error),
    };
    let measurements: [(&str, Measurement); 11] = [
        ("size", |_| sizes::measure()),
        ("start", |runtime| runtime.block_on(start::measure())),
        ("memory", |runtime| runtime.block_on(memory::measure())),
        ("writing", |_| writing::measure()),
        ("wiping", |_| wiping::measure()),
        ("beside IPA", |_| beside::measure()),
        ("writing beside IPA", |_| writing_beside::measure()),
        ("token", |_| token::measure()),
        ("policy", |runtime| runtime.block_on(policy::measure())),
        ("crash", |runtime| runtime.block_on(crash::measure())),
        ("machine", |runtime| runtime.block_on(machine::measure())),
    ];
    println!("{}\n", computer());
    let mut code = ExitCode::SUCCESS;
    let named: Vec<_> = arguments
        .iter()
        .filter(|name| !name.starts_with('-'))
        .collect();
    let wanted =
        |(name, _): &(&str, _)| named.is_empty() || named.iter().any(|given| given == name);
    for (name, measure) in measurements.into_iter().filter(wanted) {
        match measure(&runtime) {
            Ok(section) => println!("{section}"),
            Err(error) => code = fail(name, &error),
        }
    }
    code
}

/// What else the numbers depend on: a busy computer makes times longer.
fn computer() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("On {cpus} CPUs with a load of {load} at the beginning")
}

type Measurement = fn(&Runtime) -> Result<Section>;

fn write(arguments: &[String]) -> ExitCode {
    match child::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail("writing", &error),
    }
}

fn fail(what: &str, error: &anyhow::Error) -> ExitCode {
    println!("{what}: NOT MEASURED: {error:#}\n");
    ExitCode::FAILURE
}
