//! One of the two agents that are compared, as a process of nobody's on a core of its own.

use crate::agent::{self, Agent, Installed};
use crate::field::kilobytes;
use crate::report::Size;
use anyhow::{Context, Result, anyhow};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::conductor::Conductor;
use support::ipa::Ipa;

/// The core of whatever is measured.
pub(crate) const MEASURED: usize = 0;
/// The core of whoever measures.
pub(crate) const MEASURING: usize = 1;

/// Who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ferrite,
    Ipa,
}

/// A running agent; dropping it ends it.
pub(crate) struct Contender {
    process: Process,
    pub(crate) port: u16,
}

enum Process {
    Ferrite(Agent),
    Ipa(Ipa),
}

impl Contender {
    /// Starts an agent on its core.
    pub(crate) fn start(kind: Kind, installed: &Installed, conductor: &Conductor) -> Result<Self> {
        let (url, port) = (conductor.url(), agent::free_port()?);
        let process = on_core(MEASURED, || match kind {
            Kind::Ferrite => anyhow::Ok(Process::Ferrite(installed.start_at(&url, port)?)),
            Kind::Ipa => {
                let port = port.to_string();
                let options = [
                    ("api_url", url.as_str()),
                    ("listen_port", &port),
                    ("advertise_port", &port),
                ];
                let ipa = Ipa::start(&options).context("starting IPA: run `make lab`")?;
                Ok(Process::Ipa(ipa))
            }
        })??;
        Ok(Self { process, port })
    }

    /// Time of the processor that it and its ended children have used.
    pub(crate) fn processor(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // The name in parentheses may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("reading a process's times")?;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(4)
            .map(|field| field.parse::<u64>())
            .sum::<Result<u64, _>>()?;
        let a_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel's clock")?;
        Ok(Duration::from_secs(ticks) / u32::try_from(a_second)?)
    }

    /// The same, more finely, of the threads that live.
    pub(crate) fn threads(&self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(self.proc("task"))? {
            let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let run = stat.split(' ').next().unwrap_or_default();
            sum += Duration::from_nanos(run.parse()?);
        }
        Ok(sum)
    }

    /// Memory by its share.
    pub(crate) fn memory(&self) -> Result<Size> {
        kilobytes(&self.proc("smaps_rollup"), "Pss:")
    }

    /// All it said so far.
    pub(crate) fn log(&self) -> String {
        match &self.process {
            Process::Ferrite(agent) => agent.log(),
            Process::Ipa(ipa) => ipa.log(),
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        match &self.process {
            Process::Ferrite(agent) => agent.pid(),
            Process::Ipa(ipa) => ipa.pid(),
        }
    }

    /// The error of a wait for it that was in vain, with its last words.
    pub(crate) fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        match &self.process {
            Process::Ferrite(agent) => agent.explain(error),
            Process::Ipa(ipa) => anyhow!("{error:#}; IPA's log:\n{}", ipa.log()),
        }
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(file)
    }
}

/// Does something on one core; whatever it starts stays there.
pub(crate) fn on_core<T: Send>(core: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    let there = || {
        let mut cores = CpuSet::new();
        cores.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &cores)
            .with_context(|| format!("there is no core {core}"))?;
        Ok(work())
    };
    std::thread::scope(|scope| scope.spawn(there).join())
        .map_err(|_| anyhow!("a thread of the bench panicked"))?
}
