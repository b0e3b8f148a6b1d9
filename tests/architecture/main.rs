//! The house's rules: what each room may use, which way files import each other, how long a file and how wide a comment may be,
//! where a secret may be exposed, which formats are fuzzed.
//!
//! `ARCHITECTURE.md` explains them. Tests at the foot of a file (`#[cfg(test)]`) are free of them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod imports;
mod names;

use imports::Modules;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that every other one may use; they use only one another.
const FOUNDATION: &[&str] = &[
    "backoff", "clock", "error", "json", "suggest", "params", "progress", "redact", "root",
    "secret",
];

/// What each room may use besides the foundation and itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["cli", "init", "logging", "sys"]),
    (
        "cli",
        &[
            "agent",
            "config",
            "init",
            "inventory",
            "keystone",
            "logging",
            "network",
            "policy",
            "supervisor",
        ],
    ),
    (
        "agent",
        &[
            "api",
            "command",
            "conductor",
            "config",
            "extensions",
            "handover",
            "imaging",
            "inventory",
            "keystone",
            "logging",
            "machine",
            "node",
            "policy",
            "steps",
            "sys",
            "tls",
            "virtual_media",
        ],
    ),
    (
        "api",
        &["command", "config", "keystone", "logging", "policy", "tls"],
    ),
    (
        "init",
        &[
            "config",
            "formats",
            "handover",
            "logging",
            "machine",
            "network",
            "supervisor",
            "sys",
        ],
    ),
    // What starts the process hands it a pipe, by which it says that the network is there.
    (
        "network",
        &[
            "config",
            "formats",
            "handover",
            "logging",
            "supervisor",
            "sys",
        ],
    ),
    ("supervisor", &["config", "handover", "logging", "sys"]),
    ("virtual_media", &["config", "formats"]),
    ("conductor", &["config", "http", "tls"]),
    (
        "extensions",
        &[
            "command",
            "inventory",
            "logging",
            "machine",
            "node",
            "steps",
        ],
    ),
    ("keystone", &["config", "http", "logging", "tls"]),
    ("policy", &[]),
    ("command", &[]),
    ("handover", &["command", "formats", "logging"]),
    (
        "steps",
        &[
            "bootloader",
            "formats",
            "imaging",
            "inventory",
            "machine",
            "node",
            "storage",
            "sys",
        ],
    ),
    (
        "machine",
        &[
            "dns",
            "formats",
            "inventory",
            "logging",
            "node",
            "storage",
            "sys",
        ],
    ),
    ("node", &["storage"]),
    ("inventory", &["formats", "storage", "sys"]),
    ("imaging", &["formats", "storage", "sys", "tls"]),
    ("bootloader", &["formats", "storage", "sys"]),
    ("storage", &["formats", "sys"]),
    ("config", &["tls"]),
    ("http", &["tls"]),
    ("logging", &[]),
    ("tls", &["dns"]),
    // A name server with a link-local address is reached by an interface's number.
    ("dns", &["sys"]),
    ("sys", &["formats"]),
    ("formats", &[]),
    // The list of what is fuzzed: built for the tests and for `make fuzz` alone.
    (
        "fuzzing",
        &[
            "api",
            "conductor",
            "config",
            "dns",
            "formats",
            "imaging",
            "keystone",
            "network",
            "node",
            "policy",
            "tls",
        ],
    ),
    ("backoff", &[]),
    ("clock", &[]),
    ("error", &[]),
    ("json", &[]),
    ("suggest", &[]),
    ("params", &[]),
    ("progress", &[]),
    ("redact", &[]),
    ("root", &[]),
    // Pages for secrets are the kernel's to give.
    ("secret", &["sys"]),
];

/// Lines of production code a file may have.
const LONGEST_FILE: usize = 600;
/// Characters of a line that is a comment. rustfmt wraps none on the stable compiler.
const WIDEST_COMMENT: usize = 140;

/// Files that may take a secret out of its wrapper: `Secret::expose`, `AgentToken::expose_with`, `SecretBytes::expose_with`.
const MAY_EXPOSE: &[&str] = &[
    "src/init/rescue.rs",              // the rescue password, into /etc/shadow
    "src/supervisor/invocation.rs",    // secrets among options, to the agent that is started
    "src/conductor/client.rs",         // the token, out of what Ironic's errors repeat
    "src/conductor/wire.rs",           // the token, into the heartbeat's body
    "src/steps/write_image.rs",        // the config drive's text, to be decoded
    "src/steps/inject_files.rs",       // the content of files, to be written
    "src/steps/inject_files/files.rs", // the content of files, to be decoded
    "src/machine/rescue.rs",           // the rescue password, into its hash and the file
    "src/imaging/configdrive/",        // the config drive's bytes, to be written
    "src/imaging/credentials.rs",      // image servers' passwords, into a header
    "src/keystone/service_account.rs", // the agent's own password and token, into requests to Keystone
    "src/secret/",
    "src/tls/key.rs", // private keys, into the TLS library for one signature
];

/// How that is written.
const EXPOSES: &[&str] = &[".expose()", ".expose_with("];

/// The one file that starts programs: our own again, and the image's logins on a machine that was handed to its owner.
const SUPERVISOR: &str = "src/supervisor/mod.rs";
/// What it starts them with: a part that needs `unsafe`. Only the lint keeps a program from being started here.
const START: &str = "src/sys/process.rs";

/// The one file that makes HTTP clients.
const CLIENTS: &str = "src/tls/client.rs";

#[test]
fn rooms_use_only_what_lies_below_them() {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, rooms) in Modules::read(&src()).rooms_named() {
        let room = room_of(file);
        let Some(allowed) = table.get(room) else {
            wrong.push(format!("{file}: the room {room} is not in the table"));
            continue;
        };
        for used in rooms {
            if used != room && !FOUNDATION.contains(&used) && !allowed.contains(&used) {
                wrong.push(format!("{file}: {room} may not use {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_permission_to_use_a_room_is_used() {
    let modules = Modules::read(&src());
    let mut used = BTreeSet::new();
    for (file, rooms) in modules.rooms_named() {
        let room = room_of(file);
        used.extend(rooms.into_iter().map(|other| (room, other)));
    }
    let permitted = MAY_USE
        .iter()
        .flat_map(|(room, allowed)| allowed.iter().map(move |other| (*room, *other)));
    let mut unused: Vec<_> = permitted
        .filter(|permission| FOUNDATION.contains(&permission.1) || !used.contains(permission))
        .map(|(room, other)| format!("{room} may use {other}"))
        .collect();
    let by_others = |room: &str| {
        let mut used = used.iter();
        used.any(|(user, other)| *other == room && *user != room)
    };
    let foundation = FOUNDATION.iter().filter(|room| !by_others(room));
    unused.extend(foundation.map(|room| format!("every room may use {room}")));
    let rooms: BTreeSet<_> = sources().iter().map(Source::room).collect();
    let gone = MAY_USE.iter().filter(|(room, _)| !rooms.contains(*room));
    unused.extend(gone.map(|(room, _)| format!("there is no room {room}")));
    assert!(
        unused.is_empty(),
        "permissions without a use:\n{}",
        unused.join("\n")
    );
}

#[test]
fn no_files_import_each_other() {
    let uses = Modules::read(&src()).uses();
    let mut wrong = Vec::new();
    for files in imports::loops(&uses) {
        wrong.push(format!("{} files import each other:", files.len()));
        for ((user, used), names) in &uses {
            if files.contains(user) && files.contains(used) {
                let names = names.iter().map(String::as_str).collect::<Vec<_>>();
                wrong.push(format!("  {user} uses {used}: {}", names.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_holds_more_than_a_reader_can() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|file| (file.production.lines().count(), file.shown()))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();
    assert!(
        long.is_empty(),
        "more than {LONGEST_FILE} production lines: {long:?}"
    );
}

#[test]
fn no_comment_is_wider_than_a_reader_sees() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wide = Vec::new();
    for file in ["src", "tests", "fuzz/src"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
    {
        let text = fs::read_to_string(&file).unwrap();
        for (index, line) in text.lines().enumerate() {
            let width = line.chars().count();
            if line.trim_start().starts_with("//") && width > WIDEST_COMMENT {
                wide.push(format!("{}:{}: {width}", file.display(), index + 1));
            }
        }
    }
    assert!(
        wide.is_empty(),
        "comments of more than {WIDEST_COMMENT} characters:\n{}",
        wide.join("\n")
    );
}

/// Each program would compile the file again, and use a part of it.
#[test]
fn what_programs_share_is_a_package_and_no_file_included_by_path() {
    const INCLUDES: &[&str] = &[
        "src/api/timing.rs", // the method of `tests/timing/`, for what is not public
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "tests", "fuzz/src"].map(|folder| root.join(folder));
    let mut found: Vec<_> = folders
        .iter()
        .flat_map(|folder| rust_files(folder))
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().any(|line| line.trim().starts_with("#[path"))
        })
        .map(|file| file.strip_prefix(root).unwrap().display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, INCLUDES);
}

/// The fuzz target of a byte format, or why there is none.
#[test]
fn every_byte_format_is_fuzzed() {
    const NOT_OF_STRANGERS: &[&str] = &[
        "module_alias",    // the ramdisk's own files
        "module_index",    // the ramdisk's own files
        "mount_table",     // the kernel's
        "omitted_drivers", // the ramdisk's own file
        "process_status",  // the kernel's
    ];
    let formats = src().join("formats");
    let list = fs::read_to_string(formats.join("mod.rs")).unwrap();
    let public = list
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    let fuzzed: String = rust_files(&formats.join("fuzz"))
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let missing: Vec<_> = public
        .map(|line| line.trim_end_matches(';'))
        .filter(|format| !fuzzed.contains(&format!("{format}::")))
        .collect();
    assert_eq!(missing, NOT_OF_STRANGERS);
}

#[test]
fn secrets_are_exposed_only_where_the_list_says() {
    offenders("a secret outside the list", EXPOSES, |shown| {
        !MAY_EXPOSE.iter().any(|allowed| shown.starts_with(allowed))
    });
}

#[test]
fn every_permission_to_expose_secrets_is_used() {
    let files = sources();
    let exposes = |allowed: &str| {
        let files = files
            .iter()
            .filter(|file| file.shown().starts_with(allowed));
        files
            .flat_map(Source::code)
            .any(|(_, line)| EXPOSES.iter().any(|word| line.contains(word)))
    };
    let unused: Vec<_> = MAY_EXPOSE.iter().filter(|file| !exposes(file)).collect();
    assert!(unused.is_empty(), "permissions without a use: {unused:?}");
}

#[test]
fn unsafe_code_is_only_in_sys() {
    offenders("unsafe outside sys", &["allow(unsafe_code"], |shown| {
        !shown.starts_with("src/sys/")
    });
}

#[test]
fn formats_touch_no_files_processes_clocks_or_logs() {
    let forbidden = &[
        "std::fs",
        "std::process",
        "std::time",
        "std::net",
        "std::env",
        "tracing::",
    ];
    offenders("not bytes in, values out", forbidden, |shown| {
        shown.starts_with("src/formats/")
    });
}

#[test]
fn only_process_1_starts_programs() {
    offenders("programs are started", &["process::Command"], |shown| {
        shown != SUPERVISOR && shown != START
    });
}

/// The HTTP library's own resolver reads resolv.conf once, asks public servers where there is none and caches denials; the C
/// library's loses scopes and search lists.
#[test]
fn host_names_are_resolved_by_the_room_dns_alone() {
    const PAST_IT: &[&str] = &[
        "ToSocketAddrs",
        "to_socket_addrs",
        "lookup_host",
        "getaddrinfo",
        "gethostby",
        "GaiResolver",
        "hickory_dns",
        "hickory_resolver",
    ];
    offenders("a name is resolved past src/dns", PAST_IT, |_| true);

    let files = sources();
    let builders = ["Client::builder()", "ClientBuilder::new()", "Client::new()"];
    let building: Vec<_> = files
        .iter()
        .filter(|file| {
            let http = file.production.replace("reqwest::blocking", "reqwest");
            builders
                .iter()
                .any(|builder| http.contains(&format!("reqwest::{builder}")))
        })
        .collect();
    assert_eq!(
        building.iter().map(|file| file.shown()).collect::<Vec<_>>(),
        [CLIENTS]
    );
    let client = &building[0].production;
    assert_eq!(client.matches("Client::builder()").count(), 1);
    assert_eq!(
        client.matches(".dns_resolver(Resolver::new(root))").count(),
        1
    );

    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"));
    let lock = lock.unwrap();
    assert!(lock.contains("name = \"reqwest\""));
    assert!(!lock.contains("name = \"hickory-resolver\""));
}

/// What there is one of, how it would be written a second time, and the files that may.
const ONE_OF_EACH: &[(&str, &[&str], &[&str])] = &[
    (
        "HTTP client of a JSON service (the other is for images)",
        &["redirect::Policy", ".remote_addr()", ".chunk()"],
        &["src/http.rs", "src/imaging/download.rs"],
    ),
    (
        "verifier of TLS servers",
        &["ServerCertVerifier for"],
        &["src/tls/client/verifier.rs"],
    ),
    (
        "driver of a DHCP client",
        &[".on_timeout(now)"],
        &[
            "src/network/driver.rs",
            "src/network/dhcp4.rs",
            "src/network/dhcp6.rs",
        ],
    ),
    (
        "reading of an error of serde's",
        &["Category::Eof"],
        &["src/http.rs"],
    ),
    ("pause that grows", &["struct Backoff"], &["src/backoff.rs"]),
    (
        "reader of /proc/PID/mountinfo and /proc/PID/status",
        &["struct Mount {", "\"CapEff:\")"],
        &[
            "src/formats/mount_table.rs",
            "src/formats/process_status.rs",
        ],
    ),
];

#[test]
fn there_is_one_of_each() {
    for (what, words, files) in ONE_OF_EACH {
        offenders(&format!("another {what}"), words, |shown| {
            !files.contains(&shown)
        });
        for file in *files {
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
            let text = text.unwrap();
            assert!(
                words.iter().any(|word| text.contains(word)),
                "{file}: no {what}"
            );
        }
    }
}

#[test]
fn public_names_are_the_fields_words() {
    let files = sources();
    let files = files
        .iter()
        .map(|file| (file.path.as_path(), file.production.as_str()));
    let wrong = names::wrong_names(files);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_room_is_a_drawer_for_odds_and_ends() {
    const DRAWERS: &[&str] = &["utils", "util", "common", "helpers", "misc"];
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|file| {
            let path = file.path.with_extension("");
            path.iter()
                .any(|part| DRAWERS.iter().any(|drawer| part == *drawer))
        })
        .map(|file| file.shown())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn clippys_reasons_name_files_that_exist() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("clippy.toml");
    let config = fs::read_to_string(config).unwrap();
    let reasons = config
        .lines()
        .filter_map(|line| line.split_once("reason = "));
    let missing: Vec<_> = reasons
        .flat_map(|(_, reason)| reason.split_whitespace())
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/'))
        .filter(|word| word.ends_with(".rs") || word.contains('/'))
        .filter(|word| !src().join(word).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// `FILE::NAME` in `ARCHITECTURE.md`: the file is there, and has the name.
#[test]
fn files_and_names_of_the_map_exist() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(project.join("ARCHITECTURE.md")).unwrap();
    let quoted = map.split('`').skip(1).step_by(2);
    let roots = ["src/", "tests/", "fuzz/", "image/", "docs/"];
    let (mut names, mut missing) = (0, Vec::new());
    for place in quoted.filter(|text| roots.iter().any(|root| text.starts_with(root))) {
        let (file, name) = place.split_once("::").unwrap_or((place, ""));
        let path = project.join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        names += usize::from(!name.is_empty());
        if !path.exists() || !text.contains(name) {
            missing.push(place);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
    assert!(names >= 14, "of {names} names");
}

/// What `ARCHITECTURE.md` shows as a change can be made to the files as they are.
#[test]
fn diffs_in_the_map_fit_the_files() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(project.join("ARCHITECTURE.md")).unwrap();
    let diffs = map.split("```diff\n--- a/").skip(1);
    let diffs = diffs.map(|diff| diff.split_once("```").unwrap().0);
    let mut hunks = 0;
    for diff in diffs.flat_map(|diff| diff.split("\n--- a/")) {
        let (path, changes) = diff.split_once('\n').unwrap();
        let text = fs::read_to_string(project.join(path)).unwrap();
        for hunk in changes.split("@@\n").skip(1) {
            hunks += 1;
            let before: String = hunk
                .lines()
                .filter(|line| !line.starts_with('+'))
                .map(|line| format!("{}\n", line.get(1..).unwrap_or_default()))
                .collect();
            assert!(text.contains(&before), "{path} has no longer:\n{before}");
        }
    }
    assert!(hunks > 0, "no diff was found");
}

/// No production line of the files chosen holds one of the words.
fn offenders(what: &str, words: &[&str], chosen: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| chosen(&file.shown())) {
        for (number, line) in file.code() {
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{number}: {}", file.shown(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

struct Source {
    /// Relative to `src`.
    path: PathBuf,
    /// The text before the tests at the foot.
    production: String,
}

impl Source {
    fn shown(&self) -> String {
        format!("src/{}", self.path.display())
    }

    fn room(&self) -> String {
        room_of(&self.shown()).to_owned()
    }

    /// Production lines without those of comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.production.lines().enumerate();
        lines
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// The room of a file below `src`: its folder there, or its own name.
fn room_of(file: &str) -> &str {
    let path = file.strip_prefix("src/").unwrap();
    let room = path.split('/').next().unwrap();
    room.strip_suffix(".rs").unwrap_or(room)
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The text above the first module in it that only tests have.
fn before_tests(text: &str) -> &str {
    let foot = text.match_indices("#[cfg(test)]\n").find(|(at, mark)| {
        let next = text[at + mark.len()..].lines().next().unwrap_or_default();
        next.contains("mod ") && next.ends_with('{')
    });
    foot.map_or(text, |(at, _)| &text[..at])
}

fn sources() -> Vec<Source> {
    let src = src();
    let mut found = Vec::new();
    for path in rust_files(&src) {
        let text = fs::read_to_string(&path).unwrap();
        let production = before_tests(&text).to_owned();
        let path = path.strip_prefix(&src).unwrap().to_owned();
        // The list of modules uses nothing; `tests.rs` is the foot of its folder.
        if path != Path::new("lib.rs") && !path.ends_with("tests.rs") {
            found.push(Source { path, production });
        }
    }
    assert!(found.len() > 10, "the sources were not found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
