//! A machine from its power button to its first heartbeat: kernel, ramdisk, drivers, DHCP, agent.

use crate::ironic::{self, HEARTBEAT};
use crate::report::{Section, Spread};
use crate::sizes::{initramfs, kernel};
use anyhow::{Context, Result, anyhow, bail};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use support::lab::process::{last_lines, program};

/// Times of a machine in software emulation.
pub(crate) async fn measure() -> Result<Section> {
    for part in [kernel(), initramfs()] {
        if !part.exists() {
            bail!("{} is missing: run `make image`", part.display());
        }
    }
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(once().await?);
    }
    let power = Spread::of(runs.iter().map(|run| run.0));
    let kernel = Spread::of(runs.iter().map(|run| run.1));
    Ok(Section {
        title: "Machine",
        method: format!(
            "QEMU in software emulation, whatever this machine could do better: q35, one CPU, {MEMORY_MIB} MiB, virtio network \
             with QEMU's own DHCP, kernel and ramdisk given to QEMU; the kernel's first line is \"{FIRST_LINE}\" on the \
             early serial console; median of {RUNS} runs"
        ),
        rows: vec![
            kernel.row("kernel's first line to first heartbeat"),
            power.row("QEMU's start to first heartbeat"),
        ],
    })
}

/// From QEMU's start, and from the kernel's, to the heartbeat.
async fn once() -> Result<(Duration, Duration)> {
    let conductor = ironic::willing().await;
    let begin = Instant::now();
    let machine = Machine::start(conductor.address.port())?;
    let arrival = ironic::arrival(&conductor, HEARTBEAT, PATIENCE)
        .await
        .map_err(|error| machine.explain(&error))?;
    let first_line = machine
        .first_line()
        .context("the kernel's first line was not seen")?;
    Ok((arrival - begin, arrival - first_line))
}

/// A running machine; dropping it switches it off.
#[derive(Debug)]
struct Machine {
    qemu: Child,
    console: Arc<Mutex<Console>>,
}

#[derive(Debug, Default)]
struct Console {
    text: String,
    first_line: Option<Instant>,
}

impl Machine {
    fn start(port: u16) -> Result<Self> {
        // The kernel ends QEMU when the bench is gone, however it ended.
        let mut qemu = program("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args(["-accel", "tcg", "-machine", "q35", "-smp", "1"])
            // Five levels of page tables only make software emulation slower.
            .args(["-cpu", "max,la57=off", "-m", MEMORY_MIB])
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-serial", "stdio"])
            .args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"])
            .arg("-kernel")
            .arg(kernel())
            .arg("-initrd")
            .arg(initramfs())
            .arg("-append")
            .arg(format!(
                "earlycon=uart,io,0x3f8,115200 console=ttyS0,115200 ipa-api-url=http://{HOST}:{port}"
            ))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("could not start QEMU: run `make lab`")?;
        let console = Arc::new(Mutex::new(Console::default()));
        let output = qemu.stdout.take().context("QEMU has no output")?;
        let listener = Arc::clone(&console);
        thread::spawn(move || listen(output, &listener));
        Ok(Self { qemu, console })
    }

    fn first_line(&self) -> Option<Instant> {
        lock(&self.console).first_line
    }

    fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        let console = lock(&self.console);
        let last = last_lines(&console.text, 10);
        anyhow!("{error:#}; the machine's last words:\n{last}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A machine that is already off is what we want.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Keeps what the machine says, until it is off.
fn listen(output: impl Read, console: &Mutex<Console>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let now = Instant::now();
        let text = String::from_utf8_lossy(&line);
        let mut console = lock(console);
        if text.contains(FIRST_LINE) {
            console.first_line.get_or_insert(now);
        }
        console.text.push_str(&text);
        line.clear();
    }
}

fn lock(console: &Mutex<Console>) -> MutexGuard<'_, Console> {
    console.lock().unwrap_or_else(PoisonError::into_inner)
}

const RUNS: usize = 3;
const MEMORY_MIB: &str = "512";
const FIRST_LINE: &str = "Linux version";
/// The bench's loopback interface, as QEMU's own network shows it to the machine.
const HOST: &str = "10.0.2.2";
/// Software emulation on a busy computer.
const PATIENCE: Duration = Duration::from_secs(180);
