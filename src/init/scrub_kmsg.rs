//! The kernel's log without its secrets. It begins with the command line, which may hold the agent's token, and whoever reads
//! `/dev/kmsg` reads it from the first record on.
//!
//! The kernel takes no record back. So the log is read, pushed out by as many records without a meaning as there is room for,
//! and told again with the secrets masked, each line with its old time in front. `dmesg` and log collection begin with those.
//!
//! What this does not do: the kernel has said the same to its console long before process 1, as far as `quiet` and `loglevel`
//! let it.

use crate::formats::kmsg::Record;
use crate::redact::MASK;
use crate::root::Root;
use crate::sys::kernel_log::{QuietConsole, Retain, Start, clear, records, size};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Takes the secrets out of the kernel's log, and closes it to everybody but root. What fails is told: the machine must go on.
pub(super) fn scrub(root: &Root) {
    let start = Instant::now();
    match try_purge(&root.path(LOG), root) {
        Ok(0) => {}
        Ok(lines) => {
            tracing::info!(lines, took = ?start.elapsed(), "The kernel's log was told again without the agent token");
        }
        Err(error) => {
            tracing::error!(%error, "EVERYBODY WHO READS THE KERNEL'S LOG CAN READ THE AGENT TOKEN there");
        }
    }
    if let Err(error) = fs::write(root.path(RESTRICTION), "1") {
        tracing::warn!(%error, "The kernel's log is not kept for root");
    }
}

/// How many lines were told again: none where there is no secret.
fn try_purge(path: &Path, root: &Root) -> io::Result<usize> {
    let old = records(path, Start::Oldest, Retain::Oldest(MAX_LOG_LEN))?;
    if !old.iter().any(has_secret) {
        return Ok(0);
    }
    let _quiet = QuietConsole::new()?;
    let _obeyed = PrintkLevelGuard::of(root);
    let mut log = Log::open(path)?;
    for _ in 0..=size()?.div_ceil(FILLER) {
        log.write(&filler())?;
    }
    clear()?;
    for record in &old {
        log.write(&again(record))?;
    }
    let still = records(path, Start::Oldest, Retain::Oldest(MAX_LOG_LEN))?;
    if still.iter().any(has_secret) {
        return Err(io::Error::other("the kernel keeps what should be gone"));
    }
    Ok(old.len())
}

fn has_secret(record: &Record) -> bool {
    masked(record).is_some()
}

/// The text without the token, where it has one. The kernel quotes its command line in several ways, so the argument counts
/// wherever it stands, as far as the next blank: a quotation mark may be the token's.
fn masked(record: &Record) -> Option<String> {
    let mut parts = record.text.split(TOKEN);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(char::is_whitespace);
        masked.push_str(TOKEN);
        masked.push_str(MASK);
        masked.push_str(end.and_then(|end| part.get(end..)).unwrap_or_default());
    }
    (masked != record.text).then_some(masked)
}

/// What is written to tell a record again.
fn again(record: &Record) -> String {
    let level = record.level.unwrap_or(QUIETEST);
    let masked = Record {
        text: masked(record).unwrap_or_else(|| record.text.clone()),
        ..record.clone()
    };
    let mut line = format!("<{level}>{masked}");
    line.truncate(line.floor_char_boundary(MAX_LINE_LEN));
    line
}

/// A record that only takes room.
fn filler() -> String {
    format!("<{QUIETEST}>{:.<FILLER$}", "")
}

/// The kernel's log, to be told something.
struct Log<'a> {
    path: &'a Path,
    file: File,
    /// How many lines the kernel still takes at once from who has opened it.
    left: u32,
}

impl<'a> Log<'a> {
    fn open(path: &'a Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        let left = BURST;
        Ok(Self { path, file, left })
    }

    /// One line, one record: without its end the kernel would wait for more of it.
    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.left == 0 {
            *self = Self::open(self.path)?;
        }
        self.left = self.left.saturating_sub(1);
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Levels are obeyed while it lives, even where the kernel was told to ignore them: a slow console would take many seconds for
/// what nobody wants to read.
struct PrintkLevelGuard(Option<PathBuf>);

impl PrintkLevelGuard {
    fn of(root: &Root) -> Self {
        let path = root.path(IGNORED_LEVEL);
        let ignored = fs::read_to_string(&path).is_ok_and(|word| word.trim() == "Y");
        Self((ignored && fs::write(&path, "N").is_ok()).then_some(path))
    }
}

impl Drop for PrintkLevelGuard {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::write(path, "Y")
        {
            tracing::warn!(%error, "The kernel no longer ignores the levels of its messages");
        }
    }
}

/// The argument that Ironic writes the token with.
const TOKEN: &str = "ipa-agent-token=";
const LOG: &str = "dev/kmsg";
const RESTRICTION: &str = "proc/sys/kernel/dmesg_restrict";
const IGNORED_LEVEL: &str = "sys/module/printk/parameters/ignore_loglevel";
/// The kernel's log is smaller on all machines but the largest.
const MAX_LOG_LEN: usize = 16 << 20;
/// A line that is longer is refused (linux/printk.h, older kernels' `LOG_LINE_MAX`).
const MAX_LINE_LEN: usize = 960;
/// The characters of a line that only takes room.
const FILLER: usize = 900;
/// What no console shows unless it was told to.
const QUIETEST: u8 = 7;
/// linux/ratelimit_types.h: `DEFAULT_RATELIMIT_BURST`, which the kernel counts for each opening of the log by itself.
const BURST: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: Option<u8>, text: &str) -> Record {
        Record {
            level,
            micros: Some(1_500_000),
            text: text.into(),
        }
    }

    #[test]
    fn a_record_is_told_again_with_its_level_and_time_and_without_the_token() {
        let secret = record(
            Some(5),
            "Kernel command line: quiet ipa-agent-token=hush x=1",
        );
        assert!(has_secret(&secret));
        assert_eq!(
            again(&secret),
            "<5>[    1.500000] Kernel command line: quiet ipa-agent-token=****** x=1"
        );
        let plain = record(None, "NET: Registered");
        assert!(!has_secret(&plain));
        assert_eq!(again(&plain), "<7>[    1.500000] NET: Registered");
        assert!(!has_secret(&Record::parse(again(&secret).as_bytes())));
    }

    #[test]
    fn the_token_is_masked_where_the_kernel_quotes_its_arguments() {
        let quoted = record(
            Some(5),
            "Unknown kernel command line parameters \"ipa-agent-token=hush boot_method=vmedia\", will be passed to user space.",
        );
        assert_eq!(
            masked(&quoted).unwrap(),
            "Unknown kernel command line parameters \"ipa-agent-token=****** boot_method=vmedia\", will be passed to user space."
        );
        let last = record(Some(5), "parameters \"a=1 ipa-agent-token=hush\", will");
        assert_eq!(
            masked(&last).unwrap(),
            "parameters \"a=1 ipa-agent-token=****** will"
        );
        let quoted = record(
            Some(5),
            "Kernel command line: ipa-agent-token=\"hu'sh\"hush a=1",
        );
        assert_eq!(
            masked(&quoted).unwrap(),
            "Kernel command line: ipa-agent-token=****** a=1"
        );
    }

    #[test]
    fn every_line_is_as_short_as_the_kernel_wants_it() {
        assert_eq!(
            again(&record(Some(6), &"ä".repeat(3000))).len(),
            MAX_LINE_LEN
        );
        assert_eq!(filler().len(), FILLER + 3);
    }

    #[test]
    fn a_log_without_secrets_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir(root.path("dev")).unwrap();
        let log = "6,1,2000000,-;Kernel command line: quiet ipa-agent-token=******\n";
        fs::write(root.path(LOG), log).unwrap();
        assert_eq!(try_purge(&root.path(LOG), &root).unwrap(), 0);
        assert_eq!(fs::read_to_string(root.path(LOG)).unwrap(), log);
    }

    #[test]
    fn ignored_levels_are_obeyed_for_a_while_and_ignored_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let path = root.path(IGNORED_LEVEL);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for word in ["Y\n", "N\n"] {
            fs::write(&path, word).unwrap();
            let obeyed = PrintkLevelGuard::of(&root);
            assert_eq!(fs::read_to_string(&path).unwrap().trim(), "N");
            drop(obeyed);
            assert_eq!(fs::read_to_string(&path).unwrap().trim(), word.trim());
        }
    }
}
