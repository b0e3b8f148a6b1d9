//! A policy's files, from the agent's start on: what is refused, what counts, what a change does.

use super::caller::Caller;
use super::session::Session;
use super::standalone::{WITH_TOKEN, serving};
use ferrite::policy::names::{COMMAND_RUN, LOG_GET};
use ferrite::sys::loopdev::LoopDevice;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::conductor::{NODE, TOKEN};
use support::process::{Program, free_port, within};
use tempfile::TempDir;

/// `printf %s "the observer's secret" | sha256sum`
const HASH: &str = "d10db6e7387bb9834d18bc4bbc220a23ba44cc7143c6bcdd2f132af9531b1342";
const SECRET: &str = "the observer's secret";

/// A folder that everybody may read.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

fn written(folder: &TempDir, text: &str) -> PathBuf {
    let file = folder.path().join("policy.yaml");
    write(&file, text);
    file
}

/// Writes a file as a whole: no reader sees a part of it.
fn write(file: &Path, text: &str) {
    let fresh = file.with_extension("fresh");
    fs::write(&fresh, text).unwrap();
    fs::set_permissions(&fresh, Permissions::from_mode(0o644)).unwrap();
    fs::rename(fresh, file).unwrap();
}

fn naming(file: &Path) -> [(&'static str, String); 1] {
    [(
        "OS_OSLO_POLICY__POLICY_FILE",
        file.to_str().unwrap().to_owned(),
    )]
}

/// Starts an agent whose policy is refused, and tells why.
async fn refused(file: &Path) -> String {
    let naming = naming(file);
    let environment = naming
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let agent = Program::start(&["agent", "--standalone"], &environment);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let last = ended.err.lines().last().unwrap().to_owned();
    last.replace(file.to_str().unwrap(), "FILE")
}

async fn session(file: &Path, options: &[&str]) -> Session {
    let naming = naming(file);
    let environment = naming
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    Session::start_with(json!(TOKEN), options, &environment).await
}

#[tokio::test]
async fn a_policy_that_cannot_be_lived_by_ends_the_agent_with_its_reason() {
    let folder = folder();
    for (text, reason) in [
        (
            r#""baremetal:agent:command:standby.sync": "role:nobody""#,
            "ferrite: the policy is refused: it keeps Ironic's conductor, who shows the agent token, from \
             baremetal:agent:command:standby.sync (FILE:1): the machine would be lost to Ironic. Write `or rule:agent_token` into the \
             rule, or, if this is meant, the line `# ferrite: allow-conductor-lockout` at the head of the file",
        ),
        (
            r#""baremetal:agent:command:run": "@""#,
            "ferrite: the policy is refused: it lets whoever reaches the agent run commands (baremetal:agent:command:run): a command \
             needs a credential, always",
        ),
        (
            "# mine\n\"baremetal:agent:log:get\": \"http://a/b\"",
            "ferrite: the policy is refused: FILE:2: the rule \"baremetal:agent:log:get\" asks a server (http://a/b): an agent asks \
             nobody on the network whether it may obey; write the rule with roles and attributes",
        ),
        (
            "a: role:b\n\"baremetal:agent:log:get\": \"'7':%(level)d\"",
            "ferrite: the policy is refused: FILE:2: the rule \"baremetal:agent:log:get\" is refused: cannot accept \"%(level)d\" after \
             the colon of a check: of formats with % write %(name)s alone, as in %(node.owner)s",
        ),
        (
            "a: b: c",
            "ferrite: the policy is refused: FILE:1: this is not YAML: mapping values are not allowed in this context; a rule that \
             begins with !, @, %, ' or \" is written in quotes",
        ),
    ] {
        assert_eq!(refused(&written(&folder, text)).await, reason, "{text}");
    }
    let missing = folder.path().join("missing.yaml");
    assert_eq!(
        refused(&missing).await,
        "ferrite: policy_file in [oslo_policy] names FILE, and there is no such file; a name without a folder is looked for in \
         /etc/ironic-python-agent and /etc/ironic-python-agent.d"
    );
    let open = written(&folder, "{}");
    fs::set_permissions(&open, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(
        refused(&open).await,
        "ferrite: the policy is refused: FILE is not taken: others than its owner may write to it (chmod go-w)"
    );
    let closed = written(&folder, "{}");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert_eq!(
        refused(&closed).await,
        format!(
            "ferrite: the policy is refused: {} is not taken: others than its owner may write to it (chmod go-w)",
            folder.path().display()
        )
    );
}

/// Gives this thread, and the programs that it starts, mounts of their own. That needs root.
fn unshare_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
}

/// Fills an /etc with a policy, in its first folder.
fn fill_etc(etc: &Path) {
    let folder = etc.join("ironic-python-agent");
    fs::create_dir(&folder).unwrap();
    let text = r#""baremetal:agent:status:get": "rule:agent_reader""#;
    write(&folder.join("policy.yaml"), text);
}

#[tokio::test]
async fn in_a_ramdisk_a_policy_file_in_memory_is_taken_and_one_on_a_disk_is_refused() {
    unshare_mounts();
    let port = free_port().to_string();
    let options = ["agent", "--standalone", "--listen_port", &port];

    let memory = folder();
    let (tmpfs, nothing) = (Some("tmpfs"), MsFlags::empty());
    mount(tmpfs, memory.path(), tmpfs, nothing, Some("mode=755")).unwrap();
    fill_etc(memory.path());
    let mut agent = Program::start_in_ramdisk(memory.path(), &options, &[]);
    let read = "policy read file=/etc/ironic-python-agent/policy.yaml";
    agent.until_told(read).await;
    drop(agent);

    let (image, disk) = (tempfile::NamedTempFile::new().unwrap(), folder());
    image.as_file().set_len(8 << 20).unwrap();
    let mut mkfs = Command::new("/sbin/mkfs.ext4");
    let made = mkfs.args(["-q", "-d"]).args([memory.path(), image.path()]);
    assert!(made.status().unwrap().success());
    let backing = OpenOptions::new().read(true).write(true).open(&image);
    let device = LoopDevice::attach(&backing.unwrap(), 512).expect("loop devices need root");
    let read_only = MsFlags::MS_RDONLY;
    let ext4 = Some("ext4");
    mount(
        Some(device.path()),
        disk.path(),
        ext4,
        read_only,
        None::<&str>,
    )
    .unwrap();
    // What lies on it through another file system has no device number of a disk.
    let (above, nothing) = (folder(), folder());
    let layers = format!(
        "lowerdir={}:{}",
        disk.path().display(),
        nothing.path().display()
    );
    let overlay = Some("overlay");
    mount(
        overlay,
        above.path(),
        overlay,
        read_only,
        Some(layers.as_str()),
    )
    .unwrap();
    for etc in [&disk, &above] {
        let ended = Program::start_in_ramdisk(etc.path(), &options, &[])
            .end()
            .await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert_eq!(
            ended.err.lines().last(),
            Some(
                "ferrite: the policy is refused: /etc/ironic-python-agent/policy.yaml is not taken: it is on a disk: put it into \
                 the ramdisk, or onto the virtual media"
            )
        );
    }
}

#[tokio::test]
async fn a_lockout_that_the_file_confirms_is_lived_by() {
    let folder = folder();
    let text = "# ferrite: allow-conductor-lockout\n\"baremetal:agent:command:run\": \"!\"\n";
    let session = session(&written(&folder, text), &[]).await;
    let (status, answer) = session.caller.post("standby.sync", json!({})).await;
    let told = format!("403 Forbidden: Access was denied to the following resource: {COMMAND_RUN}");
    assert_eq!((status, &answer["faultstring"]), (403, &json!(told)));
    assert_eq!(session.caller.get("/v1/commands/").await.0, 200);
}

#[tokio::test]
async fn a_changed_policy_counts_and_a_broken_one_leaves_the_one_before_in_force() {
    let folder = folder();
    let file = written(&folder, r#""baremetal:agent:log:get": "rule:agent_token""#);
    let mut session = session(&file, &["--observer_token_sha256", HASH]).await;
    let observer = session.caller.with_bearer(SECRET);
    let told = format!("403 Forbidden: Access was denied to the following resource: {LOG_GET}");
    let (status, answer) = observer.get("/v1/log").await;
    assert_eq!((status, &answer["faultstring"]), (403, &json!(told)));
    let told = "Refused by policy caller=observer untold=0 reason=baremetal:agent:log:get is disallowed by policy";
    session.agent.until_told(told).await;

    write(
        &file,
        r#""baremetal:agent:status:get": "rule:agent_reader""#,
    );
    session.agent.until_told("the policy has changed").await;
    let nobody = session.caller.with_token(None);
    assert_eq!(nobody.get("/v1/status").await.0, 401);
    assert_eq!(observer.get("/v1/status").await.0, 200);

    write(&file, r#""baremetal:agent:command:run": "!""#);
    let told = "THE CHANGED POLICY IS REFUSED: the one before it stays in force";
    session.agent.until_told(told).await;
    assert_eq!(nobody.get("/v1/status").await.0, 401);
    assert_eq!(session.caller.post("standby.sync", json!({})).await.0, 200);
}

#[tokio::test]
async fn an_observer_of_a_real_agent_reads_commands_inventory_and_log() {
    let session = Session::start(&["--observer_token_sha256", HASH]).await;
    let observer = session.caller.with_bearer(SECRET);
    session.caller.result("standby.sync", json!({})).await;
    assert_eq!(observer.list().await, session.caller.list().await);
    let inventory = session
        .caller
        .result("poll.get_hardware_info", json!({}))
        .await;
    let (status, told) = observer.get("/v1/inventory").await;
    assert_eq!((status, &told["cpu"]), (200, &inventory["cpu"]));
    let log = within("the log", observer.text("/v1/log")).await;
    assert!(log.contains("Started a command command=sync"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains(SECRET), "{log}");
    let (status, _) = observer.post("standby.sync", json!({})).await;
    assert_eq!(status, 403);
}

/// Technicians may ask for steps; the project that owns the node may flush disks.
const TECHNICIANS: &str = "\
\"baremetal:agent:command:run\": \"rule:agent_admin or role:observer\"
\"baremetal:agent:command:clean.get_clean_steps\": \"rule:agent_admin or role:observer\"
\"baremetal:agent:command:clean.execute_clean_step\": \"rule:agent_admin or role:observer\"
\"baremetal:agent:command:flow.start_flow\": \"rule:agent_admin or role:observer\"
\"baremetal:agent:command:poll.set_node_info\": \"rule:agent_admin or role:observer\"
\"baremetal:agent:command:standby.sync\": \"rule:agent_admin or (role:observer and 'my-project':%(node.owner)s)\"
";

fn node_of(owner: &str) -> Value {
    json!({"uuid": NODE, "owner": owner, "properties": {"root_device": {"name": "/dev/of-my-choice"}}})
}

#[tokio::test]
async fn whose_node_it_is_is_said_by_ironic_alone() {
    let folder = folder();
    let file = written(&folder, TECHNICIANS);
    let session = session(&file, &["--observer_token_sha256", HASH]).await;
    let technician = session.caller.with_bearer(SECRET);
    let listing = |owner: &str| json!({"node": node_of(owner), "ports": []});
    let says = async |owner: &str| {
        let caller = &session.caller;
        caller.result("clean.get_clean_steps", listing(owner)).await
    };
    let expected = says("another-project").await;
    let running = json!({"step": {"step": "run"}, "node": node_of("my-project"), "ports": []});
    let flow = json!({"flow": [{"clean.get_clean_steps": listing("my-project")}]});
    for (name, params, status) in [
        ("clean.get_clean_steps", listing("my-project"), "SUCCEEDED"),
        ("clean.execute_clean_step", running, "FAILED"),
        ("flow.start_flow", flow, "SUCCEEDED"),
    ] {
        let record = technician.run(name, params).await;
        assert_eq!(record["command_status"], status, "{name}: {record}");
        if name == "clean.get_clean_steps" {
            assert_eq!(record["command_result"], expected);
        }
        assert_eq!(technician.post("standby.sync", json!({})).await.0, 403);
    }
    says("my-project").await;
    assert_eq!(technician.post("standby.sync", json!({})).await.0, 200);
    let error = technician
        .failure("clean.get_clean_steps", json!({"node": {}, "ports": []}))
        .await;
    assert_eq!(error["details"], "the parameter node has no uuid");
}

#[tokio::test]
async fn who_asks_for_steps_without_the_token_has_no_disks_waited_for() {
    let folder = folder();
    let file = written(&folder, TECHNICIANS);
    let session = session(&file, &["--observer_token_sha256", HASH]).await;
    let technician = session.caller.with_bearer(SECRET);
    let listing = json!({"node": node_of("my-project"), "ports": []});
    technician
        .result("clean.get_clean_steps", listing.clone())
        .await;
    let log = technician.text("/v1/log").await;
    assert_eq!(log.matches("root device").count(), 0, "{log}");
    // Ironic's first word about its node is waited on, as if nobody had named it before.
    session
        .caller
        .result("clean.get_clean_steps", listing)
        .await;
    let log = technician.text("/v1/log").await;
    assert_eq!(log.matches("no root device was found").count(), 1, "{log}");
}

#[tokio::test]
async fn who_may_give_an_agent_of_its_own_a_node_gives_it() {
    let folder = folder();
    let naming = naming(&written(&folder, TECHNICIANS));
    let (port, mut environment) = (free_port(), WITH_TOKEN.to_vec());
    environment.extend(
        naming
            .each_ref()
            .map(|(name, value)| (*name, value.as_str())),
    );
    let _agent = serving(port, &["--observer_token_sha256", HASH], &environment).await;
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    let technician = caller.with_bearer(SECRET);
    assert_eq!(technician.post("standby.sync", json!({})).await.0, 403);
    let info = json!({"node_info": {"node": node_of("my-project"), "config": {}}});
    let result = technician.result("poll.set_node_info", info).await;
    assert_eq!(result, Value::Null);
    assert_eq!(technician.post("standby.sync", json!({})).await.0, 200);
}

/// Observers who ask for the list on many connections, again before each answer, and count the answers.
fn ask_without_end(port: u16, answers: &AtomicUsize, enough: &AtomicBool) {
    let begins = b"HTTP/1.1 200 OK";
    let request =
        format!("GET /v1/commands/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut ahead = 0;
    let mut piece = vec![0; 1 << 16];
    let mut left = 0;
    while !enough.load(Ordering::Relaxed) {
        while ahead < 20 {
            stream.write_all(request.as_bytes()).unwrap();
            ahead += 1;
        }
        let read = stream.read(&mut piece[left..]).unwrap();
        assert_ne!(read, 0, "the agent hung up");
        let seen = &piece[..left + read];
        let found = seen.windows(begins.len()).filter(|part| part == begins);
        let found = found.count();
        answers.fetch_add(found, Ordering::Relaxed);
        ahead -= found;
        // What may be the beginning of the next answer's beginning.
        let rest = seen.len().min(begins.len() - 1);
        let from = seen.len() - rest;
        piece.copy_within(from..from + rest, 0);
        left = rest;
    }
}

/// Ends them also where the test fails.
struct EndsObservers<'a>(&'a AtomicBool);

impl Drop for EndsObservers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counted in answers, not in seconds: what each takes is the machine's business.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn while_ironic_gets_an_answer_observers_get_few() {
    const OBSERVERS: usize = 64;
    const ASKED: usize = 20;
    let port = free_port();
    let _agent = serving(port, &["--observer_token_sha256", HASH], WITH_TOKEN).await;
    let ironic = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    for _ in 0..300 {
        let params = json!({});
        ironic.result("standby.get_partition_uuids", params).await;
    }
    let (answers, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let asked = std::thread::scope(|scope| {
        let _ended = EndsObservers(&enough);
        for _ in 0..OBSERVERS {
            scope.spawn(|| ask_without_end(port, &answers, &enough));
        }
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                within("observers' answers", async {
                    while answers.load(Ordering::Relaxed) < OBSERVERS {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
                let before = answers.load(Ordering::Relaxed);
                for _ in 0..ASKED {
                    assert_eq!(ironic.get("/v1/commands/").await.0, 200);
                }
                answers.load(Ordering::Relaxed) - before
            })
        })
    });
    let each = asked / ASKED;
    assert!(each <= 20, "{each} answers to observers for one to Ironic");
}

/// Whatever this machine does not tell of itself.
#[tokio::test]
async fn what_a_reader_asks_for_again_and_again_is_a_line_and_no_more() {
    let session = Session::start(&["--observer_token_sha256", HASH]).await;
    let observer = session.caller.with_bearer(SECRET);
    for _ in 0..3 {
        for path in ["/v1/inventory", "/v1/commands/"] {
            assert_eq!(observer.get(path).await.0, 200);
        }
        observer.text("/v1/log").await;
    }
    let log = observer.text("/v1/log").await;
    let mut said = std::collections::BTreeMap::<&str, u32>::new();
    for line in log
        .lines()
        .filter(|line| !line.contains("Answered a request"))
    {
        // After the time.
        let (_, text) = line.split_once(' ').unwrap();
        *said.entry(text).or_default() += 1;
    }
    let again: Vec<_> = said.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test]
async fn a_users_error_is_not_repeated_whole_in_the_log() {
    let folder = folder();
    let file = written(&folder, TECHNICIANS);
    let session = session(&file, &["--observer_token_sha256", HASH]).await;
    let technician = session.caller.with_bearer(SECRET);
    let mut listing = json!({"node": node_of("my-project"), "ports": []});
    listing["x".repeat(500_000)] = json!(1);
    let flow = json!({"flow": vec![json!({"clean.get_clean_steps": listing.clone()})]});
    let many = vec![json!({"clean.get_clean_steps": {"node": {"uuid": NODE}}}); 1000];
    let few = json!({"flow.start_flow": {"flow": many[..8]}});
    for (name, params) in [
        ("clean.get_clean_steps", listing),
        ("flow.start_flow", flow),
        ("flow.start_flow", json!({"flow": many})),
        ("flow.start_flow", json!({"flow": vec![few; 100]})),
    ] {
        let before = technician.text("/v1/log").await.len();
        technician.run(name, params).await;
        let grown = technician.text("/v1/log").await.len() - before;
        assert!(grown < 4000, "{name}: {grown} bytes");
    }
}
