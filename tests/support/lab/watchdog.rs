//! A machine's console, watched while somebody waits for the machine.
//!
//! Software emulation can stall a kernel at its boot. That is the emulator's fault, so the machine starts once more, past Ironic,
//! whose wait goes on; `runs/NAME/restarts` counts it. Whatever else keeps a machine from booting ends the wait at once.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail};

use super::console::{Condition, Verdict};
use super::machine::virsh;
use super::process::{last_lines, run};

/// The watch over one machine.
#[derive(Debug)]
pub struct Watchdog {
    name: String,
    console: PathBuf,
    /// Where the restarts of all machines of the lab are noted.
    restarts: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the machine was switched on, if it is.
    powered_on: Option<SystemTime>,
    /// The console's length at that time.
    start: usize,
    /// What it was when it was looked at last, and since when.
    length: usize,
    grown: Instant,
    condition: Condition,
    since: Instant,
    restarts: u32,
}

impl Watchdog {
    pub(super) fn new(name: &str, console: &Path, restarts: PathBuf) -> Self {
        let now = Instant::now();
        let state = State {
            powered_on: None,
            start: 0,
            length: 0,
            grown: now,
            condition: Condition::Firmware,
            since: now,
            restarts: 0,
        };
        Self {
            name: name.into(),
            console: console.into(),
            restarts,
            state: Mutex::new(state),
        }
    }

    /// How often the machine was started again.
    pub fn restarts(&self) -> u32 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.restarts
    }

    /// Looks at the console, and starts a machine again whose kernel has stalled.
    ///
    /// # Errors
    ///
    /// The machine cannot come up: the reason, with the last lines of its console.
    pub fn check(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let console = self.console();
        state.look(self.powered_on(), &console);
        if state.powered_on.is_none() {
            return Ok(());
        }
        let (age, quiet) = (state.since.elapsed(), state.grown.elapsed());
        match state.condition.verdict(age, quiet, state.restarts) {
            Verdict::Wait => Ok(()),
            Verdict::PowerCycle(why) => self.power_cycle(&mut state, &why),
            Verdict::Fail(why) => bail!(
                "{}: {why}; the last lines of its console were:\n{}",
                self.name,
                last_lines(&String::from_utf8_lossy(&console), 30)
            ),
        }
    }

    /// QEMU's process file, which libvirt keeps as long as the machine is on, was written at its start.
    fn powered_on(&self) -> Option<SystemTime> {
        let file = format!("/run/libvirt/qemu/{}.pid", self.name);
        fs::metadata(file).ok()?.modified().ok()
    }

    fn console(&self) -> Vec<u8> {
        fs::read(&self.console).unwrap_or_default()
    }

    /// What Ironic had set (boot device, media) is in the machine's definition, which outlives this.
    fn power_cycle(&self, state: &mut State, why: &str) -> Result<()> {
        let line = format!("{}: {why}: started again", self.name);
        println!("    {line}");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.restarts)
            .with_context(|| format!("could not open {}", self.restarts.display()))?;
        writeln!(file, "{line}")?;
        run(virsh().args(["destroy", &self.name]))?;
        state.look(None, &self.console());
        run(virsh().args(["start", &self.name]))?;
        state.restarts += 1;
        Ok(())
    }
}

impl State {
    fn look(&mut self, powered_on: Option<SystemTime>, console: &[u8]) {
        let now = Instant::now();
        if self.powered_on != powered_on {
            // What was said since the last look may be the boot before, whose end is recognised.
            (self.powered_on, self.start) = (powered_on, self.length);
            (self.condition, self.since, self.grown) = (Condition::Firmware, now, now);
        }
        if console.len() == self.length {
            return;
        }
        (self.length, self.grown) = (console.len(), now);
        let text = console.get(self.start..).unwrap_or_default();
        let condition = Condition::of(&String::from_utf8_lossy(text));
        if condition != self.condition {
            (self.condition, self.since) = (condition, now);
        }
    }
}
