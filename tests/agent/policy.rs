//! A policy's files, from the agent's start on: what is refused, what counts, what a change does.

use super::conductor::TOKEN;
use super::process::{Program, free_port, within};
use super::session::Session;
use ferrite::policy::names::{COMMAND_RUN, LOG_GET};
use ferrite::sys::loopdev::LoopDevice;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::json;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
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
    let ended = Program::start_in_ramdisk(disk.path(), &options, &[])
        .end()
        .await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(
        ended.err.lines().last(),
        Some(
            "ferrite: the policy is refused: /etc/ironic-python-agent/policy.yaml is not taken: it is on a disk: put it into the \
             ramdisk, or onto the virtual media"
        )
    );
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
