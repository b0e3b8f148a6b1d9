//! Ironic's `AgentClient`, unmodified, from the package of 39.0.0: what a conductor can ask of an agent, it asks here.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::conductor::{self, Answer, Conductor, TOKEN};
use support::ipa::Ipa;
use support::process::{Program, free_port, within};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn ironics_client_finds_no_fault_with_ferrite() {
    let conductor = willing().await;
    let agent = ferrite(&conductor, &[]);
    let idle = drive(&["commands", "parameters", "refusals"], &conductor).await;
    drop(agent);
    assert_eq!((idle.faults(), idle.checks), (vec![], 41));

    let conductor = willing().await;
    let disks = TempDir::new().unwrap();
    let agent = with_disks(disks.path(), || {
        ferrite(&conductor, &["--allow-installed-system"])
    });
    let working = drive(&["work"], &conductor).await;
    drop(agent);
    assert_eq!((working.faults(), working.checks), (vec![], 5));
    assert_eq!(idle.uncalled(&working), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_client_finds_the_known_faults_of_ipa() {
    let known = [
        (&["commands", "parameters"][..], &[][..], BROKEN_PARAMETERS),
        (&["refusals"], ENDINGS, NO_REFUSALS),
        (&["work"], DISK, &[]),
    ];
    for (parts, tools, faults) in known {
        let conductor = willing().await;
        let agent = ipa(&conductor, tools);
        let verdict = drive(parts, &conductor).await;
        drop(agent);
        verdict.assert_faults(faults);
    }
}

/// What the driver found.
#[derive(Debug)]
struct Verdict {
    /// How many checks ran.
    checks: usize,
    /// Those that failed: their names, and what was wrong.
    faults: Vec<(String, String)>,
    /// The client's methods, and those of them that were called.
    public: Vec<String>,
    called: Vec<String>,
}

impl Verdict {
    fn of(lines: &[Value]) -> Self {
        let (last, checks) = lines.split_last().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names = |list: &str| last[list].as_array().unwrap().iter().map(text).collect();
        let outcomes = checks
            .iter()
            .map(|line| (text(&line["check"]), text(&line["outcome"])));
        Self {
            checks: checks.len(),
            faults: outcomes.filter(|(_, outcome)| outcome != "pass").collect(),
            public: names("public"),
            called: names("called"),
        }
    }

    fn faults(&self) -> Vec<&(String, String)> {
        self.faults.iter().collect()
    }

    /// These checks failed, each with such words in its outcome, and no others.
    fn assert_faults(&self, known: &[(&str, &str)]) {
        let as_known = self.faults.len() == known.len()
            && self
                .faults
                .iter()
                .zip(known)
                .all(|(fault, known)| fault.0 == known.0 && fault.1.contains(known.1));
        assert!(as_known, "{:#?}, not {known:#?}", self.faults);
    }

    /// Methods that neither this run nor another called.
    fn uncalled(&self, other: &Self) -> Vec<&str> {
        let called =
            |method: &&String| !self.called.contains(method) && !other.called.contains(method);
        assert_eq!(self.public.len(), 16);
        self.public
            .iter()
            .filter(called)
            .map(String::as_str)
            .collect()
    }
}

async fn willing() -> Conductor {
    let conductor = Conductor::start().await;
    conductor
        .on("GET /v1/lookup", [conductor::lookup(json!(TOKEN))])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    conductor
}

fn ferrite(conductor: &Conductor, options: &[&str]) -> Program {
    let (url, port) = (conductor.url(), free_port().to_string());
    let mut arguments = vec!["agent", "--api_url", &url];
    arguments.extend(["--listen_port", &port, "--advertise_port", &port]);
    arguments.extend(["--disk_wait_attempts", "0", "--ip_lookup_attempts", "1"]);
    arguments.extend(options);
    Program::start(&arguments, &[])
}

fn ipa(conductor: &Conductor, tools: &[(&str, &str)]) -> Ipa {
    let port = free_port().to_string();
    let options = [
        ("api_url", conductor.url()),
        ("listen_port", port.clone()),
        ("advertise_port", port),
        // The tarpit of the driver is asked once.
        ("image_download_connection_retries", "0".to_owned()),
        ("image_download_connection_retry_interval", "0".to_owned()),
    ];
    let options = options
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    Ipa::start_with(&options, tools).unwrap()
}

/// Starts something where the kernel knows of one disk, which is a folder: a test does not depend on the computer's own.
fn with_disks<T: Send>(disks: &Path, start: impl FnOnce() -> T + Send) -> T {
    let none: Option<&str> = None;
    // The agent is nobody, and reads it.
    fs::set_permissions(disks, Permissions::from_mode(0o755)).unwrap();
    let disk = disks.join("sdx");
    fs::create_dir(&disk).unwrap();
    fs::write(disk.join("size"), "41943040\n").unwrap();
    fs::write(disk.join("dev"), "8:368\n").unwrap();
    let enter = || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some(disks), "/sys/block", none, MsFlags::MS_BIND, none).unwrap();
        start()
    };
    std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// What the driver says of the agent that heartbeats at the conductor.
async fn drive(parts: &[&str], conductor: &Conductor) -> Verdict {
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
    let heartbeat = conductor.asked(HEARTBEAT)[0].json();
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    // Ironic keeps the certificate of the heartbeat in a file, and its client trusts that alone.
    let certificate = file("agent.crt", heartbeat["agent_verify_ca"].as_str().unwrap());
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let facts = json!({
        "parts": parts,
        "url": heartbeat["callback_url"],
        "token": heartbeat["agent_token"],
        "certificate": certificate,
        "other_certificate": file("other.crt", &stranger.cert.pem()),
    });
    let lines = tokio::task::spawn_blocking(move || run_driver(&facts));
    Verdict::of(&lines.await.unwrap())
}

fn run_driver(facts: &Value) -> Vec<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut driver = Command::new(here.join("target/lab/venv/ironic-39.0.0/bin/python"))
        .arg("-B")
        .arg(here.join("tests/judges/agent_client.py"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("Ironic's environment: {error}: run `make lab`"));
    let mut input = driver.stdin.take().unwrap();
    input.write_all(facts.to_string().as_bytes()).unwrap();
    drop(input);
    let output = driver.wait_with_output().unwrap();
    assert!(output.status.success(), "the driver ended early");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const HEARTBEAT: &str = "POST /v1/heartbeat/";

/// Programs by which IPA ends a machine, as stand-ins that do nothing.
const ENDINGS: &[(&str, &str)] = &[("hwclock", ""), ("poweroff", ""), ("reboot", "")];

/// A stand-in that shows IPA a disk.
pub(super) const DISK: &[(&str, &str)] = &[(
    "lsblk",
    r#"case "$*" in *--json*) echo '{"blockdevices": [{"kname": "sdx", "model": "none", "size": 21474836480, "rota": false,
        "type": "disk", "uuid": null, "partuuid": null, "serial": null, "log-sec": 512, "phy-sec": 512, "tran": "sata",
        "wwn": null}]}' ;; esac"#,
)];

/// IPA takes a key that its own code misses for an extension that is not there. And it keeps the error of an unknown parameter as
/// an object that cannot be sent: from then on its list cannot be read.
const BROKEN_PARAMETERS: &[(&str, &str)] = &[
    (
        "get_clean_steps: a node without a name fails the command alone",
        "Not found: Extension with id clean not found.",
    ),
    (
        "get_deploy_steps: a node without a name fails the command alone",
        "Not found: Extension with id deploy not found.",
    ),
    // The client takes this for an agent without such steps.
    (
        "get_service_steps: a node without a name fails the command alone",
        "None, not 'FAILED'",
    ),
    (
        "an unknown parameter is an error of its command",
        "Object of type TypeError is not JSON serializable",
    ),
    (
        "the list can be read after an unknown parameter",
        "KeyError: 'commands'",
    ),
    (
        "the next command runs after an unknown parameter",
        "KeyError: 'commands'",
    ),
];

/// IPA asks nobody whether the machine is its own, and does it: without disks, rights and programs that end a machine, nothing.
const NO_REFUSALS: &[(&str, &str)] = &[
    ("execute_clean_step: erasing is refused", "'SUCCEEDED'"),
    ("execute_deploy_step: erasing is refused", "'SUCCEEDED'"),
    (
        "execute_deploy_step: writing is refused",
        "'DeviceNotFound'",
    ),
    ("install_bootloader: refused", "'DeviceNotFound'"),
    ("power_off: refused", "'SUCCEEDED'"),
    ("reboot: refused", "'SUCCEEDED'"),
    // It failed to write the password, by an error that cannot be sent.
    ("finalize_rescue: refused", "InstanceRescueFailure: "),
    ("lockdown: refused", "no AgentCommandTimeout: None"),
];
