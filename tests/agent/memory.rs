//! How many plain copies of a token lie in the memory of processes that were given it as an argument or a variable.

use super::process::{Program, free_port};
use super::rescue::etc;
use super::scan::{Mapping, Needle, Place, Scan};
use std::fs;

const GIVEN: &str = "canary-of-a-given-token-0123456789abcdefghi";

/// A process that serves, and those that it started.
fn processes(parent: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
    std::iter::once(parent).chain(children).collect()
}

/// Pages for secrets: a memory file, or one page alone where the kernel has no `memfd_secret`.
fn is_sealed(mapping: &Mapping) -> bool {
    let is_file = ["/secretmem", "/memfd:ferrite"].iter();
    is_file.clone().any(|file| mapping.name.starts_with(file))
        || mapping.name.is_empty() && mapping.end - mapping.start == 4096
}

#[tokio::test]
async fn a_token_among_arguments_or_variables_has_no_plain_copy_once_it_was_read() {
    let variables = [("OS_DEFAULT__AGENT_TOKEN", GIVEN)];
    for (subcommand, expected) in [("supervise", 2), ("agent", 1)] {
        // In a ramdisk the program is root of a namespace, into which whoever runs the tests may look.
        let etc = etc(&[]);
        let port = free_port().to_string();
        let arguments = [subcommand, "--standalone", "--listen_port", &port];
        let arguments = [&arguments[..], &["--agent-token", GIVEN]].concat();
        let mut program = Program::start_in_ramdisk(etc.path(), &arguments, &variables);
        program.until_told("serving commands").await;

        let processes = processes(program.pid());
        assert_eq!(processes.len(), expected, "{processes:?}");
        // A control: the search finds what is there.
        let needles = [
            Needle::new("token", GIVEN.bytes()),
            Needle::new("control", "Started a program".bytes()),
        ];
        let scan = Scan::of(&processes, &needles).unwrap();
        assert!(scan.copies("control") > 0, "{scan}");
        let plain = |place: &&Place| place.needle == "token" && !is_sealed(&place.mapping);
        let plain = scan.places.iter().filter(plain).count();
        assert_eq!(plain, 0, "{subcommand}: {scan}");
    }
}
