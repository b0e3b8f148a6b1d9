//! Writes one image by `imaging`, in a process of its own: its peak memory is this image's.

use crate::field::kilobytes;
use anyhow::{Result, bail};
use ferrite::imaging::{self, ImageInfo, Md5, Network, Rules, Settings};
use ferrite::progress::{Cancel, Reporter};
use ferrite::root::Root;
use ferrite::storage::chosen::Chosen;
use ferrite::tls::client::ClientOptions;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What tells the child that it is one; URL, format, checksum and target follow.
pub(crate) const ARGUMENT: &str = "--write";

/// Does what the arguments say, and tells the numbers on standard output.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
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
        &Chosen::at(Path::new(target))?,
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
