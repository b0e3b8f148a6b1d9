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
    tenth: Option<u64>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            terminal: stdout().is_terminal(),
            moving: false,
            tenth: None,
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
        let number = |key: &str| progress[key].as_u64().unwrap_or(0);
        let (bytes, total) = (number("bytes"), number("total").max(1));
        let done = bytes.min(total);
        let tenth = done * 10 / total;
        let bar: String = (0..10)
            .map(|place| if place < tenth { '#' } else { '.' })
            .collect();
        let text = format!(
            "Ferrite: {:<9} [{bar}] {:>3} %  {} of {} MiB, {} MiB/s",
            progress["phase"].as_str().unwrap_or_default(),
            done * 100 / total,
            bytes >> 20,
            total >> 20,
            number("rate") >> 20,
        );
        if self.terminal {
            print!("\r[{:>4} s] {text}  ", self.start.elapsed().as_secs());
            // A terminal that is gone is no reason to stop the deployment.
            let _ = stdout().flush();
            self.moving = true;
        } else if self.tenth != Some(tenth) {
            self.line(&text);
        }
        self.tenth = Some(tenth);
    }
}
