//! The machine is handed to its owner: by an agent in a ramdisk that it may write to.

use super::session::{HEARTBEAT, LOOKUP, Session, start_agent_in_ramdisk, willing_conductor};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

pub(crate) const HASH: &str = "$6$rounds=5000$salt$hush";

/// A folder for /etc that everybody may write to.
pub(crate) fn etc(folders: &[&str]) -> TempDir {
    let etc = tempfile::tempdir().unwrap();
    open_to_all(etc.path());
    for folder in folders {
        fs::create_dir(etc.path().join(folder)).unwrap();
        open_to_all(&etc.path().join(folder));
    }
    etc
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

#[tokio::test]
async fn the_password_is_left_for_the_ramdisk_and_the_agent_ends_after_its_answer() {
    let etc = etc(&["ipa-rescue-config"]);
    let session = Session::start_in_ramdisk(etc.path(), &[]).await;
    let params = json!({"rescue_password": HASH, "hashed": true});
    let result = session
        .caller
        .result("rescue.finalize_rescue", params)
        .await;
    assert_eq!(result, Value::Null);
    let ended = session.agent.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(!ended.err.contains(HASH), "{}", ended.err);
    assert!(!session.caller.is_answered().await);

    let password = etc.path().join("ipa-rescue-config/ipa-rescue-password");
    assert_eq!(fs::read_to_string(&password).unwrap(), HASH);
    let mode = fs::metadata(&password).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read(etc.path().join(".rescued")).unwrap(), b"");
}

#[tokio::test]
async fn a_plain_password_is_hashed() {
    let etc = etc(&["ipa-rescue-config"]);
    let session = Session::start_in_ramdisk(etc.path(), &[]).await;
    let params = json!({"rescue_password": "hush"});
    let result = session
        .caller
        .result("rescue.finalize_rescue", params)
        .await;
    assert_eq!(result, Value::Null);
    session.agent.end().await;
    let written = fs::read_to_string(etc.path().join("ipa-rescue-config/ipa-rescue-password"));
    let written = written.unwrap();
    let parts: Vec<_> = written.split('$').map(str::len).collect();
    assert_eq!(
        parts,
        ["", "5", "sixteen letters.", HASHED].map(str::len),
        "{written}"
    );
    assert!(written.starts_with("$5$"), "{written}");
}

const HASHED: &str = "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

#[tokio::test]
async fn an_agent_that_finds_the_mark_stays_silent() {
    let etc = etc(&[]);
    fs::write(etc.path().join(".rescued"), "").unwrap();
    let conductor = willing_conductor(json!("never asked")).await;
    let mut agent = start_agent_in_ramdisk(etc.path(), &conductor, &[]);
    agent.until_told("the agent stays silent").await;
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.end().await.status.code(), Some(0));
    assert_eq!(conductor.asked(LOOKUP).len(), 0);
    assert_eq!(conductor.asked(HEARTBEAT).len(), 0);
}

#[tokio::test]
async fn without_login_programs_the_machine_stays_the_agents() {
    let etc = etc(&[]);
    let session = Session::start_in_ramdisk(etc.path(), &[]).await;
    let caller = &session.caller;
    for (params, kind, details) in [
        (
            json!({"rescue_password": HASH, "hashed": true}),
            ("CommandExecutionError", 500, "Command execution failed"),
            "nobody could log in to this ramdisk: it brings no login programs (there is no folder /etc/ipa-rescue-config)",
        ),
        (
            json!({"rescue_password": ["hush"]}),
            (
                "InvalidCommandParamsError",
                400,
                "Invalid command parameters",
            ),
            "rescue.finalize_rescue: the parameter rescue_password must be a string or null, not a list",
        ),
        (
            json!({"password": "hush"}),
            (
                "InvalidCommandParamsError",
                400,
                "Invalid command parameters",
            ),
            "rescue.finalize_rescue: there is no parameter password",
        ),
    ] {
        let (class, code, message) = kind;
        assert_eq!(
            caller.failure("rescue.finalize_rescue", params).await,
            json!({"type": class, "code": code, "message": message, "details": details})
        );
    }
    // Weakness of IPA: each of these would make the list unreadable for ever.
    let states = caller.list().await;
    assert_eq!(states.len(), 3);
    assert!(!etc.path().join(".rescued").exists());
}
