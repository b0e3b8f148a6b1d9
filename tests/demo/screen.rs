//! Lines with the time since the start, and one line of progress that moves where the output is a terminal.

use std::io::{IsTerminal, Write, stdout};
use std::time::Instant;

use serde_json::Value;

/// Where the demo shows itself.
#[derive(Debug)]
pub(crate) struct Screen {
    start: Instant,
    terminal: bool,
    moving: bool,
    told: Option<(String, u64)>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            terminal: stdout().is_terminal(),
            moving: false,
            told: None,
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str) {
        if self.moving {
            println!();
            self.moving = false;
        }
        println!("[{:>4} s] {text}", self.start.elapsed().as_secs());
    }

    /// How far a running command says it is: on a terminal in place, else a line every tenth.
    pub(crate) fn progress(&mut self, progress: &Value) {
        let (phase, tenth) = (
            progress["phase"].as_str().unwrap_or_default(),
            tenth_done(progress),
        );
        let text = format!("Ferrite: {phase:<9} {}", measure(progress));
        if self.terminal {
            print!(
                "\r[{:>4} s] {text}          ",
                self.start.elapsed().as_secs()
            );
            // A terminal that is gone is no reason to stop the deployment.
            let _ = stdout().flush();
            self.moving = true;
        } else if self.told != Some((phase.into(), tenth)) {
            self.line(&text);
        }
        self.told = Some((phase.into(), tenth));
    }
}

fn tenth_done(progress: &Value) -> u64 {
    match (progress["bytes"].as_u64(), progress["total"].as_u64()) {
        (Some(bytes), Some(total)) if total > 0 => bytes.min(total) * 10 / total,
        _ => 0,
    }
}

/// A bar and numbers, where the phase has MiB to count.
fn measure(progress: &Value) -> String {
    let mib = |key: &str| progress[key].as_u64().unwrap_or(0) >> 20;
    if mib("total") == 0 {
        return String::new();
    }
    let tenth = tenth_done(progress);
    let bar: String = (0..10)
        .map(|place| if place < tenth { '#' } else { '.' })
        .collect();
    format!(
        "[{bar}] {} of {} MiB, {} MiB/s",
        mib("bytes"),
        mib("total"),
        mib("rate")
    )
}
