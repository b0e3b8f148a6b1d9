//! Arguments, help texts, exit codes, and values that cannot be used.

use std::net::{Ipv4Addr, TcpListener};
use support::process::{free_port, run};

#[tokio::test]
async fn the_version_is_one_line() {
    let ended = run(&["--version"], &[]).await;
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(
        (ended.out.as_str(), ended.err.as_str()),
        (concat!("ferrite ", env!("CARGO_PKG_VERSION"), "\n"), "")
    );
}

#[tokio::test]
async fn the_help_names_the_subcommands_and_the_exit_codes() {
    let ended = run(&["--help"], &[]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
    for line in [
        "Usage: ferrite <COMMAND>",
        "  agent      Look up the node, heartbeat, serve Ironic's commands",
        "  init       Process 1 of the ramdisk: prepare the machine, keep the agent running",
        "  inventory  Print what the machine is, as JSON",
        "Exit codes: 0 done, 1 failed, 2 the command line or configuration cannot be used.",
    ] {
        assert!(
            ended.out.lines().any(|l| l == line),
            "{line}:\n{}",
            ended.out
        );
    }
}

#[tokio::test]
async fn the_agents_help_names_every_option_with_its_default() {
    let ended = run(&["agent", "--help"], &[]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
    for text in [
        "Usage: ferrite agent [OPTIONS]",
        "--api_url <URLS>",
        "--agent_token <TOKEN>",
        "--listen_port <PORT>",
        "[default: 9999]",
        "--standalone",
        "--allow_installed_system",
        "--config-file <PATH>",
    ] {
        assert!(ended.out.contains(text), "{text}:\n{}", ended.out);
    }
}

#[tokio::test]
async fn a_command_line_that_cannot_be_understood_ends_with_two() {
    for (arguments, reason) in [
        (&[][..], "Usage: ferrite <COMMAND>"),
        (&["serve"], "unrecognized subcommand 'serve'"),
        (
            &["inventry"],
            "tip: a similar subcommand exists: 'inventory'",
        ),
        (
            &["config", "chek", "x"],
            "tip: a similar subcommand exists: 'check'",
        ),
        (
            &["policy", "list-redundnat"],
            "tip: a similar subcommand exists: 'list-redundant'",
        ),
        (&["agent", "--colour"], "unexpected argument '--colour'"),
        (
            &["agent", "--listen_prt=1"],
            "a similar argument exists: '--listen_port'",
        ),
        (
            &["agent", "--listen_port"],
            "a value is required for '--listen_port <PORT>'",
        ),
        (&["config"], "Usage: ferrite config"),
        (&["config", "check"], "<FILE>..."),
        (&["inventory", "--json"], "unexpected argument '--json'"),
    ] {
        let ended = run(arguments, &[]).await;
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
        assert!(ended.err.contains(reason), "{arguments:?}: {}", ended.err);
    }
}

#[tokio::test]
async fn init_is_for_the_kernel_alone() {
    let ended = run(&["init"], &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        ended.err,
        "ferrite: ferrite init is process 1 of a ramdisk: the kernel starts it, nobody else\n"
    );
}

#[tokio::test]
async fn the_network_is_for_process_1_alone() {
    let ended = run(&["network"], &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        ended.err,
        "ferrite: ferrite network is a part of process 1 of a ramdisk: nobody else starts it\n"
    );
}

#[tokio::test]
async fn every_bad_value_is_named_with_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let file = super::tokens::config_file(folder.path(), "lookup_timeout = soon");
    let file = file.to_str().unwrap();
    let ended = run(
        &["agent", "--config-file", file, "--listen_port", "high"],
        &[("OS_DEFAULT__TLS_MIN_VERSION", "9")],
    )
    .await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let last = ended.err.lines().last().unwrap();
    assert!(
        last.starts_with("ferrite: configuration cannot be used: "),
        "{last}"
    );
    for problem in [
        format!("{file}, line 2: lookup_timeout "),
        "command line, --listen_port: listen_port ".to_owned(),
        "environment, OS_DEFAULT__TLS_MIN_VERSION: tls_min_version ".to_owned(),
    ] {
        assert!(last.contains(&problem), "{problem}: {last}");
    }
    for value in ["not \"soon\"", "not \"high\"", "not \"9\""] {
        assert!(last.contains(value), "{value}: {last}");
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_used_is_the_only_line() {
    for (argument, reason) in [
        (
            "--listen_port=high",
            "command line, --listen_port: listen_port must be a port, 0 to 65535, not \"high\"",
        ),
        (
            "--config-file=/nonexistent",
            "/nonexistent: cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let ended = run(&["agent", argument], &[]).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert_eq!(
            ended.err,
            format!("ferrite: configuration cannot be used: {reason}\n")
        );
    }
}

#[tokio::test]
async fn what_others_wrote_reaches_no_terminal_as_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        super::tokens::config_file(folder.path(), "api\u{202e}url = x\nntp_server = \u{1b}[2Jx");
    let path = path.to_str().unwrap();
    let secret = run(&["agent", "agent_token=hush-hush\u{1b}[2J\u{202e}x"], &[]).await;
    assert_eq!(secret.status.code(), Some(2));
    assert!(
        secret
            .err
            .contains("unexpected argument 'agent_token=******"),
        "{secret:?}"
    );
    assert!(!secret.err.contains("hush"), "{secret:?}");
    let argument = run(&["agent", "\u{1b}[2J\u{202e}x"], &[]).await;
    assert!(
        argument.err.contains("'\u{fffd}[2J\u{fffd}x'"),
        "{argument:?}"
    );
    let (checked, shown, refused) = (
        run(&["config", "check", path], &[]).await,
        run(&["config", "show", "--config-file", path], &[]).await,
        run(&["agent", "--config-file", "/no\u{202e}where"], &[]).await,
    );
    for ended in [&checked, &shown, &refused, &secret, &argument] {
        let is_obeyed = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
        assert!(!ended.out.contains(is_obeyed), "{ended:?}");
        assert!(!ended.err.contains(is_obeyed), "{ended:?}");
    }
    assert!(checked.out.contains("api\u{fffd}url"), "{checked:?}");
    assert!(shown.out.contains("\u{fffd}[2Jx"), "{shown:?}");
    assert!(refused.err.contains("/no\u{fffd}where"), "{refused:?}");
}

#[tokio::test]
async fn settings_that_lack_another_end_with_two() {
    let ended = run(&["agent", "--standalone", "--listen_tls"], &[]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(
        ended.err.lines().last(),
        Some("ferrite: listen_tls is set, but not both of tls_cert_file and tls_key_file")
    );
}

#[tokio::test]
async fn a_port_that_is_taken_ends_with_one() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = [
        "agent",
        "--standalone",
        "--listen_host",
        "127.0.0.1",
        "--listen_port",
        &port,
    ];
    let ended = run(&arguments, &[]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(
        ended.err.lines().last().unwrap(),
        format!("ferrite: listening on 127.0.0.1:{port}: Address already in use (os error 98)")
    );
}
