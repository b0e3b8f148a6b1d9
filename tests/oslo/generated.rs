//! Sources made at random, the same ones each time.

use super::case::Case;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Group, name, kernel argument, and texts that both sides take.
type Option = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const OPTIONS: &[Option] = &[
    (
        "DEFAULT",
        "listen_port",
        "ipa-listen-port",
        &["1", "65535", "80"],
    ),
    (
        "DEFAULT",
        "lookup_timeout",
        "ipa-lookup-timeout",
        &["0", "$listen_port", "${listen_port}0", "60"],
    ),
    (
        "DEFAULT",
        "insecure",
        "ipa-insecure",
        &["true", "FALSE", "on", "0", "Yes", "no"],
    ),
    ("DEFAULT", "listen_tls", "", &["true", "off"]),
    (
        "DEFAULT",
        "guard_special_filesystems",
        "ipa-guard-special-filesystems",
        &["false", "1"],
    ),
    (
        "DEFAULT",
        "api_url",
        "ipa-api-url",
        &[
            "http://a/",
            "https://b:1,http://c",
            "mdns",
            "http://h:$listen_port/",
        ],
    ),
    (
        "DEFAULT",
        "tls_min_version",
        "ipa-tls-min-version",
        &["1.2", "1.3"],
    ),
    (
        "DEFAULT",
        "tls_cert_file",
        "",
        &["/c.pem", "/$$.pem", "/\\$x"],
    ),
    (
        "DEFAULT",
        "network_interface",
        "ipa-network-interface",
        &[
            "eth0",
            "e$listen_port",
            "${mdns.lookup_attempts}-$insecure",
            "$$a-$-$1",
            "x$api_url",
        ],
    ),
    (
        "DEFAULT",
        "permitted_image_formats",
        "",
        &["raw", "raw, qcow2", "a,b,c"],
    ),
    (
        "DEFAULT",
        "image_server_password",
        "",
        &["pa$$word", "x y", "'quoted'"],
    ),
    ("DEFAULT", "debug", "ipa-debug", &["true", "0"]),
    (
        "DEFAULT",
        "collect_lldp",
        "ipa-collect-lldp",
        &["true", "no"],
    ),
    ("DEFAULT", "log_file", "", &["/l", "l.log"]),
    ("DEFAULT", "log_date_format", "", &["%Y", "%H:%M"]),
    ("DEFAULT", "lldp_timeout", "ipa-lldp-timeout", &["1.5", "3"]),
    ("mdns", "lookup_attempts", "", &["1", "9", "$listen_port"]),
    ("mdns", "use_mdns", "ipa-use-mdns", &["true", "0"]),
    ("mdns", "allowed_overrides", "", &["ntp_server", "a, b"]),
    (
        "metrics",
        "global_prefix",
        "",
        &["$backend", "a.$listen_port", "p"],
    ),
    ("metrics", "backend", "", &["statsd", "noop"]),
    (
        "container",
        "run_options",
        "",
        &["--rm", "--rm,--net=$listen_port"],
    ),
];

pub(crate) fn cases(number: usize) -> Vec<Case> {
    let mut runner = TestRunner::deterministic();
    (0..number)
        .map(|_| sources().new_tree(&mut runner).unwrap().current())
        .map(|sources| sources.case())
        .collect()
}

/// An option with one of its texts.
type Setting = (&'static Option, &'static str);

/// A line of a file: a setting, and how it is written.
type Line = (Setting, u8);

#[derive(Clone, Debug)]
struct Random {
    kernel: Vec<Setting>,
    files: Vec<(u8, Vec<Line>)>,
    environment: Vec<Setting>,
    arguments: Vec<Setting>,
}

fn sources() -> impl Strategy<Value = Random> {
    let files = prop::collection::vec(
        (0_u8..8, prop::collection::vec((setting(), 0_u8..8), 0..6)),
        0..4,
    );
    (settings(4), files, settings(4), settings(4)).prop_map(
        |(kernel, files, environment, arguments)| Random {
            kernel,
            files,
            environment,
            arguments,
        },
    )
}

fn settings(most: usize) -> impl Strategy<Value = Vec<Setting>> {
    prop::collection::vec(setting(), 0..most)
}

fn setting() -> impl Strategy<Value = Setting> {
    prop::sample::select(OPTIONS).prop_flat_map(|option| {
        let option: &'static Option = OPTIONS.iter().find(|known| known.1 == option.1).unwrap();
        prop::sample::select(option.3).prop_map(move |text| (option, text))
    })
}

impl Random {
    fn case(&self) -> Case {
        let mut case = Case::default();
        for (option, text) in &self.kernel {
            // Kernel arguments have no blanks, and numbers there are read before references are.
            let number = option.1 == "lookup_timeout" && text.contains('$');
            if !option.2.is_empty() && !text.contains(' ') && !number {
                case = case.kernel(&format!("{}={text}", option.2));
            }
        }
        for (index, (place, lines)) in self.files.iter().enumerate() {
            let text: String = lines.iter().map(line).collect();
            case = match place {
                0 | 1 => case.file("etc/ironic-python-agent.conf", &text),
                2 => case.file("root/ironic-python-agent.conf", &text),
                3 => case.file(
                    &format!("etc/ironic-python-agent.conf.d/{index}.conf"),
                    &text,
                ),
                4 => case.file(
                    &format!("root/ironic-python-agent.conf.d/{index}.conf"),
                    &text,
                ),
                5 => case
                    .file(&format!("{index}.d/a.conf"), &text)
                    .file(&format!("{index}.d/.hidden.conf"), "broken")
                    .argument(&format!("--config-dir=@/{index}.d")),
                _ => case
                    .file(&format!("{index}.conf"), &text)
                    .argument(&format!("--config-file=@/{index}.conf")),
            };
        }
        for (option, text) in &self.arguments {
            if option.0 == "DEFAULT" {
                case = case.argument(&argument(option.1, text));
            }
        }
        for (option, text) in &self.environment {
            // With an argument of the same name oslo.config lets files decide which of the two wins: see the differences.
            if !self.arguments.iter().any(|(other, _)| other.1 == option.1) {
                let name = format!("OS_{}__{}", option.0, option.1).to_uppercase();
                case = case.variable(&name, text);
            }
        }
        case
    }
}

/// An assignment as one may write it, below its group.
fn line(((option, text), form): &Line) -> String {
    let (group, name) = (option.0, option.1);
    let shouted = group.to_uppercase();
    match form {
        0 => format!("[{group}]\n{name}: {text}\n"),
        1 => format!("[{shouted}]\n{name}={text}\n\n"),
        2 => format!("# a comment\n[{group}]\n; another\n{name}   =   {text}  \n"),
        3 => format!("[{group}]\n{name} = \"{text}\"\n"),
        4 => format!("[{group}]\nnobody_knows = 1\n{name} = {text}\n"),
        5 if name == "tls_cert_file" => format!("[ssl]\ncert_file = {text}\n"),
        5 if name == "log_file" => format!("[DEFAULT]\nlogfile = {text}\n"),
        6 if text.contains(", ") => {
            format!("[{group}]\n{name} = {}\n", text.replace(", ", ",\n  "))
        }
        7 => format!("[{group}]\n{name} = {text}\n{name} = {}\n", option.3[0]),
        _ => format!("[{group}]\n{name} = {text}\n"),
    }
}

fn argument(name: &str, text: &str) -> String {
    let yes = ["true", "on", "1", "yes"].contains(&text.to_lowercase().as_str());
    match name {
        "insecure" | "listen_tls" | "debug" | "collect_lldp" if yes => format!("--{name}"),
        "insecure" | "listen_tls" | "debug" | "collect_lldp" => format!("--no{name}"),
        "guard_special_filesystems" if yes => "--guard-special-filesystems".to_owned(),
        "guard_special_filesystems" => "--noguard-special-filesystems".to_owned(),
        "log_file" | "log_date_format" => format!("--{}={text}", name.replace('_', "-")),
        _ => format!("--{name}={text}"),
    }
}
