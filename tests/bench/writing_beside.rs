//! Writing an image, Ferrite beside IPA, in turns onto the same disk.

use crate::contender::{Kind, MEASURED, MEASURING, on_core};
use crate::images::{Form, Image, sha256};
use crate::report::{Better, Compared, Section};
use crate::server::Server;
use crate::writer;
use crate::writing::Folder;
use anyhow::{Context, Result, bail};
use ferrite::sys::loopdev::LoopDevice;
use nix::unistd::{Gid, Uid, chown};
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use support::ipa::{ENVIRONMENT, add_tools, as_nobody};
use support::lab::process::run;
use tempfile::TempDir;

/// Both agents, and how many times better Ferrite is.
pub(crate) fn measure() -> Result<Section> {
    let folder = Folder::new("target/bench-beside")?;
    let server = on_core(MEASURING, || Server::start(folder.path().to_owned()))??;
    let disk = Disk::new(&folder.path().join("disk"))?;
    let raw = Image::raw(folder.path(), MIB)?;
    let plain = raw.convert(Form::Plain)?;
    let mut rows = Vec::new();
    for image in [&raw, &plain] {
        let runs = in_turns(image, &raw, &server.url(&image.name()), disk.path())?;
        let row = |what: &str, unit, number: fn(&Cost) -> f64| {
            let of = |kind| {
                let runs = runs.iter().filter(|run| run.0 == kind);
                runs.map(|run| number(&run.1)).collect()
            };
            Compared {
                what: &format!("{}: {what}", image.form.name()),
                better: Better::Less,
                unit,
                ferrite: of(Kind::Ferrite),
                ipa: of(Kind::Ipa),
            }
            .row()
        };
        rows.extend([
            row("duration", "s", |cost| cost.seconds),
            row("processor", "s", |cost| cost.processor),
            row("peak memory with /tmp", "MB", |cost| cost.memory),
        ]);
    }
    Ok(Section {
        title: "Writing beside IPA 13.0.0",
        method: format!(
            "{MIB} MiB of data without holes onto a loop device over a file in target/, hash and sync included, in turns, \
             {RUNS} runs each after one to warm up, each alone on one core, the image server on another; Ferrite by \
             imaging::write_image, IPA by the functions of its standby extension (raw streamed; qcow2 downloaded and given to \
             qemu-img), both in a process of their own without the rest of the agent; peak memory: of the larger process, and \
             what IPA keeps in /tmp, which is memory in a ramdisk; median (least..most); x: how many times better Ferrite is"
        ),
        rows,
    })
}

/// What one writing cost, in seconds and MB.
struct Cost {
    seconds: f64,
    processor: f64,
    memory: f64,
}

fn in_turns(image: &Image, raw: &Image, url: &str, disk: &Path) -> Result<Vec<(Kind, Cost)>> {
    let mut runs = Vec::new();
    for number in 0..=RUNS {
        for kind in [Kind::Ferrite, Kind::Ipa] {
            let cost = on_core(MEASURED, || match kind {
                Kind::Ferrite => by_ferrite(image, url, disk),
                Kind::Ipa => by_ipa(image, url, disk),
            })?
            .with_context(|| format!("writing {} by {kind:?}", image.form.name()))?;
            if sha256(disk)? != raw.sha256 {
                bail!("{kind:?} wrote {} wrongly", image.form.name());
            }
            if number > 0 {
                runs.push((kind, cost));
            }
        }
    }
    Ok(runs)
}

fn by_ferrite(image: &Image, url: &str, disk: &Path) -> Result<Cost> {
    let written = writer::write(image, url, disk)?;
    Ok(Cost {
        seconds: written.time.as_secs_f64(),
        processor: written.processor.as_secs_f64(),
        memory: written.peak.megabytes(),
    })
}

fn by_ipa(image: &Image, url: &str, disk: &Path) -> Result<Cost> {
    let folder = TempDir::new()?;
    let mut command = as_nobody(folder.path()).context("IPA is missing: run `make lab`")?;
    add_tools(
        folder.path(),
        &[("qemu-img", "exec /usr/bin/qemu-img \"$@\"")],
    )?;
    // Nobody may not be let into the folder of the checkout.
    let script = folder.path().join("ipa_writing.py");
    fs::write(&script, include_str!("ipa_writing.py"))?;
    command
        .arg(format!("{ENVIRONMENT}/bin/python"))
        .arg("-B")
        .arg(&script)
        .args([url, image.form.disk_format(), &image.sha256])
        .arg(disk)
        // In memory, as in a ramdisk.
        .env("TMPDIR", "/run");
    let [seconds, processor, peak, kept]: [f64; 4] =
        serde_json::from_str(&run(&mut command)?).context("reading the script's numbers")?;
    Ok(Cost {
        seconds,
        processor,
        memory: (peak + kept) / 1e6,
    })
}

/// A disk that belongs to nobody, for as long as it is measured.
struct Disk(LoopDevice);

impl Disk {
    fn new(file: &Path) -> Result<Self> {
        File::create(file)?.set_len(MIB << 20)?;
        let backing = OpenOptions::new().read(true).write(true).open(file)?;
        let device = LoopDevice::attach(&backing, 512).context("attaching a loop device")?;
        let nobody = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        chown(device.path(), Some(nobody.0), Some(nobody.1))?;
        Ok(Self(device))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The device is free for others in a moment; whoever attaches a file to it is root.
        let _ = chown(self.path(), Some(Uid::from_raw(0)), Some(Gid::from_raw(0)));
    }
}

const MIB: u64 = 1024;
const RUNS: usize = 3;
const NOBODY: u32 = 65534;
