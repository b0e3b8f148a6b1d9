//! The program by the name that the kernel starts it by when it needs a module. Nothing here can load one: it is not root.

use support::process::Program;

#[tokio::test]
async fn the_kernels_helper_ends_quietly_without_standard_streams() {
    let arguments = ["-q", "--", "ferrite-no-such-module"];
    let ended = Program::start_named("/sbin/modprobe", "<&- >&- 2>&-", &arguments)
        .end()
        .await;
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
}

#[tokio::test]
async fn the_kernels_helper_is_no_other_subcommand() {
    for (arguments, reason) in [
        (&["-r", "xfs"][..], "cannot use \"-r\": "),
        (&["xfs", "agent"], "cannot use \"agent\": "),
        (&["--help"], "cannot use \"--help\": "),
        (&[], "cannot use \"\": "),
    ] {
        let ended = Program::start_named("modprobe", "", arguments).end().await;
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        let start = format!("ferrite: {reason}this modprobe takes names of modules");
        assert!(
            ended.err.starts_with(&start),
            "{arguments:?}: {}",
            ended.err
        );
        assert_eq!((ended.out.as_str(), ended.err.lines().count()), ("", 1));
    }
}
