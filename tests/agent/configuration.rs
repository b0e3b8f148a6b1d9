//! `ferrite config`: what an agent would use, and a look at files.

use serde_json::{Value, json};
use std::path::Path;
use support::process::{Ended, run};

/// A folder with this configuration file, for nobody to read.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = super::tokens::config_file(folder.path(), text);
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

async fn shown(arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let arguments = [&["config", "show", "--json"], arguments].concat();
    let ended = run(&arguments, environment).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

#[tokio::test]
async fn every_option_is_shown_with_its_value_and_origin() {
    let (_folder, path) =
        file("agent_token = canary\npermitted_image_formats = raw, iso\ncollect_lldp = yes");
    let shown = shown(
        &["--config-file", &path, "--listen_port", "7"],
        &[
            ("OS_MDNS__USE_MDNS", "on"),
            ("OS_DEFAULT__API_URL", "http://me:canary@h/"),
        ],
    )
    .await;
    assert!(!shown.to_string().contains("canary"));
    let own = &shown["DEFAULT"];
    let set = |value, origin: &str| json!({"value": value, "origin": origin, "effect": true});
    assert_eq!(
        own["listen_port"],
        set(json!(7), "command line, --listen_port")
    );
    assert_eq!(own["advertise_port"], set(json!(9999), "default"));
    assert_eq!(
        own["agent_token"],
        set(json!("******"), &format!("{path}, line 2"))
    );
    assert_eq!(
        own["permitted_image_formats"]["value"],
        json!(["raw", "iso"])
    );
    assert_eq!(own["ntp_server"]["value"], Value::Null);
    assert_eq!(own["collect_lldp"]["effect"], false);
    assert_eq!(own["api_url"]["value"], json!(["http://******@h/"]));
    assert_eq!(
        shown["mdns"]["use_mdns"],
        set(json!(true), "environment, OS_MDNS__USE_MDNS")
    );
    let options: usize = shown
        .as_object()
        .unwrap()
        .values()
        .map(|group| group.as_object().unwrap().len())
        .sum();
    assert!(options > 100, "{options}");
}

#[tokio::test]
async fn a_folder_without_a_file_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    // Neither is one that an agent reads.
    for name in ["x.txt", ".x.conf"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let ended = run(&["config", "check", path], &[]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(
        ended.out,
        format!("{path}: error: there is no *.conf file in it: nothing was checked\n")
    );
}

#[tokio::test]
async fn the_table_has_a_line_for_each_option_and_no_secret() {
    let ended = run(
        &["config", "show", "--image_server_password", "canary"],
        &[],
    )
    .await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let words: Vec<Vec<&str>> = ended
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words[0], ["OPTION", "VALUE", "ORIGIN"]);
    assert!(words.contains(&vec!["listen_port", "9999", "default"]));
    assert!(words.contains(&vec![
        "image_server_password",
        "******",
        "command",
        "line,",
        "--image_server_password"
    ]));
    assert!(
        ended
            .err
            .contains("warning: command line, --image_server_password"),
        "{}",
        ended.err
    );
    assert!(!ended.out.contains("canary") && !ended.err.contains("canary"));
}

#[tokio::test]
async fn who_says_that_the_token_is_required_is_shown_and_changes_nothing() {
    for (said, shown) in [
        ("True", "true"),
        ("no", "false"),
        ("perhaps", "neither true nor false"),
    ] {
        let (_folder, path) = file(&format!("agent_token_required = {said}"));
        let table = run(&["config", "show", "--config-file", &path], &[]).await;
        let line = table.out.lines().last().unwrap();
        let words: Vec<_> = line.split("  ").filter(|word| !word.is_empty()).collect();
        let origin = format!("{path}, line 2");
        let told = format!("{origin} (changes nothing: the token is always required)");
        let trimmed: Vec<_> = words.iter().map(|word| word.trim()).collect();
        assert_eq!(trimmed, ["agent_token_required", shown, &told]);
        let json = self::shown(&["--config-file", &path], &[]).await;
        assert_eq!(
            json["agent_token_required"],
            json!({ origin: {"value": shown, "effect": false} })
        );
    }
}

#[tokio::test]
async fn what_would_keep_the_agent_from_starting_is_said_instead() {
    let ended = run(&["config", "show", "--listen_port=x"], &[]).await;
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(2), ""));
    assert_eq!(
        ended.err,
        "ferrite: configuration cannot be used: command line, --listen_port: listen_port must be a port, 0 to 65535, not \"x\"\n"
    );
}

async fn checked(text: &str) -> (Ended, String) {
    let (_folder, path) = file(text);
    let ended = run(&["config", "check", &path], &[]).await;
    (ended, path)
}

#[tokio::test]
async fn errors_and_warnings_of_a_file_are_said_with_their_lines() {
    let (ended, path) = checked(
        "listen_port = x\napi-url = http://a\nlisten_port = 7\nagent_token = ******\nntp_server = $nosuch",
    )
    .await;
    assert_eq!(ended.status.code(), Some(2));
    let lines: Vec<_> = ended
        .out
        .lines()
        .map(|line| line.strip_prefix(&path).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            ":2: error: listen_port must be a port, 0 to 65535, not \"x\"",
            ":3: warning: there is no option api-url; did you mean api_url?",
            ":5: error: agent_token cannot be used: it is only a mask",
            ":6: error: ntp_server refers to $nosuch, which is no option",
        ]
    );
}

#[tokio::test]
async fn a_file_with_warnings_alone_can_be_used_and_a_good_one_needs_no_words() {
    let (ended, path) = checked("collect_lldp = true").await;
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(
        ended.out,
        format!("{path}:2: warning: collect_lldp changes nothing: its part is not here\n")
    );
    let (ended, _) = checked("listen_port = 7").await;
    assert_eq!(
        (ended.status.code(), ended.out.as_str(), ended.err.as_str()),
        (Some(0), "", "")
    );
}

#[tokio::test]
async fn the_sample_has_no_faults() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ferrite.conf.sample");
    let (_folder, path) = file(&std::fs::read_to_string(sample).unwrap());
    let ended = run(&["config", "check", &path], &[]).await;
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_an_error() {
    let ended = run(&["config", "check", "/nonexistent/f.conf"], &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        ended.out,
        "/nonexistent/f.conf: error: cannot be read: No such file or directory (os error 2)\n"
    );
}
