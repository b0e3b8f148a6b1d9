//! One run of a lab: its folders in `target/lab/runs/NAME`, and the promise that no other lab uses them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

use super::parts::Parts;

/// The folders of one run.
#[derive(Debug)]
pub struct Run {
    /// State of the lab's services.
    pub work: PathBuf,
    /// What they and the machines said.
    pub logs: PathBuf,
    _only: Flock<File>,
}

impl Run {
    /// Empty folders; what an earlier run of the name left is removed.
    pub fn new(parts: &Parts, name: &str) -> Result<Self> {
        let run = parts.lab.join("runs").join(name);
        let only = only_one(&parts.lab, name)?;
        if run.exists() {
            fs::remove_dir_all(&run)
                .with_context(|| format!("could not remove {}", run.display()))?;
        }
        let (work, logs) = (run.join("work"), run.join("logs"));
        fs::create_dir_all(&work)?;
        fs::create_dir_all(&logs)?;
        Ok(Self {
            work,
            logs,
            _only: only,
        })
    }

    /// What to say when the lab does not start.
    pub fn failure(&self) -> String {
        format!(
            "the lab did not start (its logs are in {})",
            self.logs.display()
        )
    }
}

/// Two labs of one name would remove each other's files.
fn only_one(folder: &Path, name: &str) -> Result<Flock<File>> {
    fs::create_dir_all(folder.join("runs"))?;
    let path = folder.join("runs").join(format!("{name}.lock"));
    let file =
        File::create(&path).with_context(|| format!("could not create {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .with_context(|| format!("could not lock {}", path.display()))
}
