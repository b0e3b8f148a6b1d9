//! The build's shell scripts, run with stand-ins for Debian's programs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and a script is a program to run"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `image/install-packages.sh` for these packages. `fakes` are the programs of Debian that it calls, and stand first on its path.
fn install(packages: &[&str], fakes: &[(&str, &str)]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    for (name, script) in fakes {
        let path = folder.path().join(name);
        let script = format!("#!/bin/bash\ncalls={}\n{script}\n", calls.display());
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let output = Command::new("bash")
        .arg(root().join("image/install-packages.sh"))
        .args(packages)
        .env("PATH", path)
        .output()
        .unwrap();
    (output, fs::read_to_string(calls).unwrap_or_default())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// qemu-utils is there, in the version of backports.
const DPKG_QUERY: (&str, &str) = (
    "dpkg-query",
    r#"case "${@: -1}" in
qemu-utils) echo "installed 1:10.0.2~bpo12+1" ;;
*) exit 1 ;;
esac"#,
);
/// Notes what is installed, and complains as it does on a minimal machine.
const APT_GET: (&str, &str) = (
    "apt-get",
    r#"echo "debconf: delaying package configuration" >&2
case " $* " in *" install "*) echo "${*:7}" >>"$calls" ;; esac"#,
);
const ID: (&str, &str) = ("id", "echo 0");

#[test]
fn install_packages_with_a_longer_list_than_a_pipe_holds_finds_the_suite_of_qemu() {
    // The first line is the one wanted, and 64 KiB, which is a pipe's buffer, are not all that follows.
    let apt_cache = (
        "apt-cache",
        r#"echo "qemu-system-x86 | 1:10.0.2~bpo12+1 | http://mirror.example/debian bookworm-backports/main amd64 Packages"
for ((n = 0; n < 3000; n++)); do
    echo "qemu-system-x86 | 1:7.2+$n | http://mirror.example/debian bookworm/main amd64 Packages"
done"#,
    );
    let (output, calls) = install(&["qemu-system-x86"], &[DPKG_QUERY, APT_GET, ID, apt_cache]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert_eq!(
        calls.lines().next(),
        Some(
            "install --yes --no-install-recommends --target-release bookworm-backports \
             qemu-system-x86=1:10.0.2~bpo12+1"
        )
    );
}

#[test]
fn install_packages_that_succeeds_shows_one_line_and_no_complaint() {
    let (output, calls) = install(&["zstd", "kmod"], &[DPKG_QUERY, APT_GET, ID]);
    assert_eq!(calls, "install --yes --no-install-recommends zstd kmod\n");
    assert_eq!(
        (
            String::from_utf8_lossy(&output.stdout).as_ref(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (
            "==> Debian: installing packages (a few minutes): zstd kmod\n",
            ""
        )
    );
}

#[test]
fn install_packages_that_fails_shows_what_apt_said() {
    let apt_get = (
        "apt-get",
        r#"case " $* " in *" install "*) echo "E: Unable to locate package zstd" >&2; exit 100 ;; esac"#,
    );
    let (output, _) = install(&["zstd"], &[DPKG_QUERY, apt_get, ID]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.first(), Some(&"E: Unable to locate package zstd"));
    assert!(
        error.ends_with("install-packages.sh: the packages could not be installed\n"),
        "{error}"
    );
}

/// The commands that make would run for a target where nothing has been made yet.
fn dry_run(target: &str) -> String {
    let nothing = tempfile::tempdir().unwrap();
    let output = Command::new("make")
        .args(["--dry-run", "--no-print-directory", "--directory"])
        .arg(root())
        .arg(format!("LAB={}", nothing.path().display()))
        .arg(format!("IMAGE={}", nothing.path().display()))
        .arg(target)
        // Of the make that runs this test.
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What each line after `marker` in it goes on with, up to a blank.
fn after<'a>(text: &'a str, marker: &str) -> Vec<&'a str> {
    let lines = text.lines().filter_map(|line| line.split_once(marker));
    let mut found: Vec<_> = lines
        .filter_map(|(_, rest)| rest.split_whitespace().next())
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn make_demo_installs_no_more_than_the_demo_needs() {
    const ONLY_TESTS: [&str; 7] = [
        "python3-dev",
        "gdisk",
        "lshw",
        "parted",
        "psmisc",
        "syslinux",
        "cargo-nextest",
    ];
    let demo = dry_run("demo");
    let installing = "lab: installing ";
    assert_eq!(after(&demo, installing), ["ironic-39.0.0", "sushy-tools"]);
    let words: Vec<_> = demo.split_whitespace().collect();
    let extra = ONLY_TESTS.iter().filter(|name| words.contains(name));
    assert_eq!(extra.collect::<Vec<_>>(), Vec::<&&str>::new());
    // And the lab of the tests has all of it.
    let lab = dry_run("lab");
    assert_eq!(
        after(&lab, installing),
        [
            "ironic-21.4.4",
            "ironic-26.1.6",
            "ironic-39.0.0",
            "ironic-python-agent-13.0.0",
            "keystone-30.0.0",
            "oslo.policy-6.0.1",
            "sushy-tools",
        ]
    );
    for name in &ONLY_TESTS[..6] {
        assert!(lab.split_whitespace().any(|word| word == *name), "{name}");
    }
}

#[test]
fn make_demo_says_at_each_stage_how_long_it_takes() {
    let demo = dry_run("demo");
    let stages: Vec<_> = demo
        .lines()
        .filter_map(|line| line.strip_prefix("echo \"==> "))
        .collect();
    assert!(stages.len() >= 6, "{stages:#?}");
    for stage in stages.iter().skip(1) {
        let (_, time) = stage.split_once('(').unwrap_or_default();
        let times = ["minute", "second", "MB"];
        assert!(times.iter().any(|word| time.contains(word)), "{stage}");
    }
}

/// Under `pipefail` a reader that ends early fails the whole pipe: its producer dies of SIGPIPE. In make's own shell it does not, but the
/// same line is copied from there.
#[test]
fn every_reader_of_a_pipe_reads_to_its_end() {
    let mut found = Vec::new();
    let mut files = 0;
    for path in scripts() {
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        // A pipe may go on in the next line.
        let text = text.replace("|\n", "| ").replace("\\\n", " ");
        for line in text.lines() {
            if line.trim_start().starts_with('#') {
                continue;
            }
            if line.split('|').skip(1).any(ends_early) {
                found.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(files > 8, "{files} scripts and makefiles");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Whether a command of a pipe may end before its input does.
fn ends_early(command: &str) -> bool {
    let mut words = command.split_whitespace();
    match words.next().unwrap_or_default() {
        "head" => true,
        "grep" => words.any(|word| {
            let short = word.starts_with('-') && !word.starts_with("--");
            (short && word.contains(['q', 'm']))
                || word == "--quiet"
                || word.starts_with("--max-count")
        }),
        "awk" => command.contains("exit"),
        "sed" => words.any(|word| word.trim_matches(['\'', '"', ';']).ends_with('q')),
        _ => false,
    }
}

#[test]
fn ends_early_knows_the_readers_that_do() {
    for command in [
        "head -1",
        "grep -q x",
        "grep -Fqx x",
        "grep -m 1 x",
        "awk '{ print $2; exit }'",
        "sed 1q",
    ] {
        assert!(ends_early(command), "{command}");
    }
    for command in [
        "grep -x x",
        "grep -vxE 'a|b'",
        "sed -n 1p",
        "tail -n 1",
        "sort -u",
    ] {
        assert!(!ends_early(command), "{command}");
    }
}

/// The scripts of bash and sh, and what make reads.
fn scripts() -> Vec<PathBuf> {
    let mut found = vec![root().join("Makefile"), root().join(".ci/run")];
    let mut folders = ["image", "tests", "docs", "config"]
        .map(|name| root().join(name))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|kind| kind == "sh" || kind == "mk")
            {
                found.push(path);
            }
        }
    }
    found
}
