//! An agent that knows its conductor by a name.

use super::session::{HEARTBEAT, willing_conductor};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use support::conductor::TOKEN;
use support::name_server::{NameServer, Reply, write_resolv_conf};
use support::process::{Program, free_port, within};
use tempfile::TempDir;

/// A machine's `/` of which `etc` is the agent's /etc.
fn machine(resolv_conf: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    fs::create_dir(&etc).unwrap();
    for path in [folder.path(), &etc] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    write_resolv_conf(folder.path(), resolv_conf);
    folder
}

fn start(machine: &TempDir, url: &str) -> Program {
    let port = free_port().to_string();
    let arguments = [
        "agent",
        "--api_url",
        url,
        "--listen_port",
        &port,
        "--advertise_port",
        &port,
        "--disk_wait_attempts=0",
        "--ip_lookup_attempts=1",
        "--lookup_interval=0",
    ];
    Program::start_in_ramdisk(&machine.path().join("etc"), &arguments, &[])
}

#[tokio::test]
async fn an_agent_asks_the_name_server_that_dhcp_brings_after_its_first_lookups() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let server = NameServer::start(|_| Reply::address("127.0.0.1")).await;
    let machine = machine("");
    let url = format!("http://ironic_api.lab:{}", conductor.address.port());
    let mut agent = start(&machine, &url);
    agent.until_told("no name server is known").await;
    write_resolv_conf(machine.path(), &server.line());
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
}

#[tokio::test]
async fn an_unknown_name_is_one_line_a_try() {
    let server = NameServer::start(|_| Reply::no_such_name()).await;
    let machine = machine(&server.line());
    let mut agent = start(&machine, "http://ironic.lab:6385");
    agent.until_told_often("lookup failed", 3).await;
    let told = agent.told();
    let wanted = format!(
        " WARN  conductor::retry: lookup failed: trying again error=\"asking http://ironic.lab:6385: cannot resolve \
         ironic.lab: the name server {} knows no such name: correct the name, or add it to the server's zone\" seconds=",
        server.address
    );
    let about: Vec<_> = told
        .lines()
        .filter(|line| line.contains("resolve") || line.contains("asking"))
        .collect();
    assert!(
        about.iter().all(|line| line.contains(&wanted)),
        "{about:#?}"
    );
    assert_eq!(about.len(), told.matches("lookup failed").count());
}
