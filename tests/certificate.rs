//! The agent's own certificate before the client that will read it: Python's, as strict as Python 3.13 is by default.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ferrite::tls::certificate::{Curve, SelfSigned, Subject};
use ferrite::tls::{MinVersion, server};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use url::Host;

/// Connects as Ironic's conductor does: the certificate is the only authority, and the address is its name.
const CLIENT: &str = r#"
import socket, ssl, sys
authority, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=authority)
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
if name == "complete":
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    name = "127.0.0.1"
with socket.create_connection(("127.0.0.1", port)) as plain:
    with context.wrap_socket(plain, server_hostname=name) as secure:
        print(secure.version(), secure.recv(16).decode())
"#;

/// What Python says of a certificate made for 127.0.0.1, when it takes the server for `name`.
fn python_meets(subject: &Subject, name: &str) -> Output {
    let made = SelfSigned::generate(subject).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("agent.crt");
    std::fs::write(&authority, &made.pem).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let config = server::server_config(&made.identity, MinVersion::Tls12, None).unwrap();
    std::thread::spawn(move || greet(&listener, config));
    #[expect(
        clippy::disallowed_methods,
        reason = "the conductor's language is the point of this test"
    )]
    std::process::Command::new("python3")
        .args(["-c", CLIENT, authority.to_str().unwrap(), &port, name])
        .output()
        .map_err(|error| format!("python3 is needed here: {error}"))
        .unwrap()
}

/// Says hello to one client. One that does not like the certificate hangs up.
fn greet(listener: &TcpListener, config: Arc<rustls::ServerConfig>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut connection = rustls::ServerConnection::new(config).unwrap();
    let mut secure = rustls::Stream::new(&mut connection, &mut stream);
    if secure.write_all(b"hello").is_ok() {
        secure.conn.send_close_notify();
        let _ = secure.read(&mut [0; 1]);
    }
}

fn subject() -> Subject {
    Subject {
        address: Host::Ipv4(Ipv4Addr::LOCALHOST),
        host_name: "node-1.example".into(),
        curve: Curve::P384,
        allowed_clock_skew: Duration::from_secs(3600),
        now: ferrite::clock::since_epoch(),
    }
}

fn assert_welcome(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "TLSv1.3 hello\n", "{complaint}");
}

#[test]
fn strict_python_takes_every_curve() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let subject = Subject { curve, ..subject() };
        assert_welcome(&python_meets(&subject, "127.0.0.1"));
    }
}

#[test]
fn a_client_that_wants_a_complete_chain_takes_it_for_its_own_issuer() {
    assert_welcome(&python_meets(&subject(), "complete"));
}

#[test]
fn a_certificate_made_by_a_wrong_clock_is_taken() {
    let day = Duration::from_secs(24 * 3600);
    for now in [
        Duration::ZERO,
        subject().now + day,
        subject().now + day * 4000,
    ] {
        assert_welcome(&python_meets(&Subject { now, ..subject() }, "127.0.0.1"));
    }
}

#[test]
fn another_address_is_refused() {
    let output = python_meets(&subject(), "127.0.0.2");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("IP address mismatch"), "{complaint}");
}
