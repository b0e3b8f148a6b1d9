//! How many plain copies of a token lie in the memory of processes that were given it as an argument or a variable.

use super::rescue::etc;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use support::process::{Program, free_port, within};
use support::scan::{Mapping, Needle, Place, Scan};
use tokio::task::yield_now;

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
        assert_eq!(plain_copies(&processes), 0, "{subcommand}");
    }
}

/// How often the token lies outside of pages for secrets.
fn plain_copies(processes: &[u32]) -> usize {
    // A control: the search finds what is there.
    let needles = [
        Needle::new("token", GIVEN.bytes()),
        Needle::new("control", "serving commands".bytes()),
    ];
    let scan = Scan::of(processes, &needles).unwrap();
    assert!(scan.copies("control") > 0, "{scan}");
    let plain = |place: &&Place| place.needle == "token" && !is_sealed(&place.mapping);
    scan.places.iter().filter(plain).count()
}

/// A client that keeps its connection for as long as the agent does.
struct Kept {
    port: String,
    stream: Option<TcpStream>,
}

impl Kept {
    /// Sends a request in these pieces, and reads the answer.
    fn send(&mut self, pieces: &[&str]) {
        let connect = || TcpStream::connect(format!("127.0.0.1:{}", self.port)).unwrap();
        let mut stream = self.stream.take().unwrap_or_else(connect);
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).unwrap();
        }
        let mut answer = Vec::new();
        let length = loop {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
            if answer.ends_with(b"\r\n\r\n") {
                let head = std::str::from_utf8(&answer).unwrap();
                let length = head.split_once("content-length: ").unwrap().1;
                break length.split_once('\r').unwrap().0.parse().unwrap();
            }
        };
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        if !String::from_utf8(answer)
            .unwrap()
            .contains("connection: close")
        {
            self.stream = Some(stream);
        }
    }
}

#[tokio::test]
async fn a_connection_that_idles_keeps_no_token_of_its_requests_however_large_one_was() {
    let port = free_port().to_string();
    let arguments = ["agent", "--standalone", "--listen_port", &port];
    let variables = [("OS_DEFAULT__AGENT_TOKEN", GIVEN)];
    let mut program = Program::start(&arguments, &variables);
    program.until_told("serving commands").await;

    let get = format!("GET /v1/commands/?agent_token={GIVEN} HTTP/1.1\r\nHost: a\r\n");
    let body = format!(
        r#"{{"name": "standby.none", "params": {{"a": "{}"}}}}"#,
        "Q".repeat(40_000)
    );
    let post = format!(
        "POST /v1/commands/?agent_token={GIVEN} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let long = format!("{get}Cookie: {}\r\n\r\n", "y".repeat(9_000));
    let small = format!("{get}\r\n");
    for first in [
        [small.as_str(), ""],
        [&post, ""],
        [&long, ""],
        // A head in two pieces.
        small.split_at(20).into(),
    ] {
        let mut kept = Kept {
            port: port.clone(),
            stream: None,
        };
        kept.send(&first);
        for _ in 0..4 {
            kept.send(&[&small]);
        }
        let idle = async {
            while plain_copies(&[program.pid()]) > 0 {
                yield_now().await;
            }
        };
        within("the end of what a connection kept", idle).await;
        // It idled, and was not closed.
        assert!(kept.stream.is_some());
        kept.send(&[&small]);
    }
}
