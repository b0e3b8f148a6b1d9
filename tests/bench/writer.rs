//! One image onto one file by `ferrite::imaging`, in a process of its own: its peak memory is this image's.

use crate::agent::kilobytes;
use crate::images::Image;
use crate::process::{program, run};
use crate::report::Size;
use anyhow::{Context, Result, bail};
use ferrite::imaging::{self, ImageInfo, Md5, Network, Rules, Settings};
use ferrite::progress::{Cancel, Reporter};
use ferrite::root::Root;
use ferrite::tls::client::ClientOptions;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What tells the child that it is one; URL, format, checksum and target follow.
pub(crate) const ARGUMENT: &str = "--write";

/// What a child tells.
#[derive(Debug)]
pub(crate) struct Written {
    /// Length of the image file.
    pub(crate) bytes: u64,
    /// Length of the disk in it.
    pub(crate) virtual_size: u64,
    pub(crate) time: Duration,
    /// Time of the processor.
    pub(crate) processor: Duration,
    /// The most memory the process ever had resident.
    pub(crate) peak: Size,
}

/// Writes an image onto a target in a child of this program.
pub(crate) fn write(image: &Image, url: &str, target: &Path) -> Result<Written> {
    let this = std::env::current_exe()?;
    let said = run(program(this)
        .args([ARGUMENT, url, image.form.disk_format(), &image.sha256])
        .arg(target))?;
    let numbers: [u64; 5] = serde_json::from_str(&said).context("reading the child's numbers")?;
    let [bytes, virtual_size, micros, processor, peak] = numbers;
    Ok(Written {
        bytes,
        virtual_size,
        time: Duration::from_micros(micros),
        processor: Duration::from_micros(processor),
        peak: Size(peak),
    })
}

/// The child's side.
pub(crate) fn run_child(arguments: &[String]) -> Result<()> {
    let [_, url, format, sha256, target] = arguments else {
        bail!("not the arguments of {ARGUMENT}: {arguments:?}");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let info = ImageInfo::parse(&image_info(url, format, sha256), Md5::Refused)?;
    let settings = settings(runtime.handle());
    let (begin, used) = (Instant::now(), processor()?);
    let written = imaging::write_image(
        &info,
        Path::new(target),
        &settings,
        &Cancel::default(),
        &Reporter::default(),
    )?;
    let micros = u64::try_from(begin.elapsed().as_micros())?;
    let used = u64::try_from((processor()? - used).as_micros())?;
    let peak = kilobytes(Path::new("/proc/self/status"), "VmHWM:")?;
    println!(
        "{}",
        json!([written.bytes, written.virtual_size, micros, used, peak.0])
    );
    Ok(())
}

/// Time of the processor that this process has used.
fn processor() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let of = |time: TimeVal| {
        let micros = u64::try_from(time.num_microseconds()).unwrap_or_default();
        Duration::from_micros(micros)
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

fn image_info(url: &str, format: &str, sha256: &str) -> Map<String, Value> {
    let fields = [
        ("id", json!("bench")),
        ("urls", json!([url])),
        ("disk_format", json!(format)),
        ("os_hash_algo", json!("sha256")),
        ("os_hash_value", json!(sha256)),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn settings(runtime: &Handle) -> Settings {
    Settings {
        network: Network {
            tls: ClientOptions::default(),
            root: Root::machine(),
            runtime: runtime.clone(),
            timeout: Duration::from_secs(60),
        },
        retries: 0,
        interval: Duration::ZERO,
        max_duration: None,
        basic_auth: None,
        md5: Md5::Refused,
        rules: Rules {
            deep_inspection: true,
            permitted: vec!["raw".into(), "gpt".into(), "qcow2".into()],
        },
    }
}
