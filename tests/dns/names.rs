//! Which names are asked for.

use super::{conf, lookup};
use ferrite::dns::{Error, Resolver, Tried};
use ferrite::root::Root;
use hickory_proto::op::ResponseCode;
use support::name_server::{NameServer, Reply, machine};

#[tokio::test]
async fn a_name_with_an_underscore_is_resolved() {
    let server = NameServer::start(|_| Reply::address("192.0.2.1")).await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic_api.lab").await.unwrap(),
        ["192.0.2.1"]
    );
}

#[tokio::test]
async fn addresses_of_both_families_are_found_ipv4_first() {
    let addresses = ["2001:db8::1", "192.0.2.1", "192.0.2.2"];
    let addresses: Vec<_> = addresses.map(|text| text.parse().unwrap()).into();
    let server = NameServer::start(move |_| Reply::Addresses(addresses.clone())).await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap(),
        ["192.0.2.1", "192.0.2.2", "[2001:db8::1]"]
    );
}

#[tokio::test]
async fn a_server_that_denies_a_name_for_ipv6_alone_is_believed_for_ipv4() {
    let server = NameServer::start(|question| match question {
        "A ironic.lab." => Reply::address("192.0.2.1"),
        _ => Reply::no_such_name(),
    })
    .await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap(),
        ["192.0.2.1"]
    );
}

#[tokio::test]
async fn domains_are_searched_until_one_has_the_name() {
    let server = NameServer::start(|question| match question {
        "A ironic.b.example." => Reply::address("192.0.2.1"),
        "A ironic.a.example." | "AAAA ironic.a.example." => Reply::Code(ResponseCode::ServFail),
        "AAAA ironic.b.example." => Reply::Addresses(Vec::new()),
        _ => Reply::no_such_name(),
    })
    .await;
    let conf = format!(
        "{}search none.example a.example b.example c.example\noptions attempts:1\n",
        server.line()
    );
    assert_eq!(lookup(&conf, "ironic").await.unwrap(), ["192.0.2.1"]);
    let asked = server.questions();
    assert!(
        asked.contains(&"A ironic.none.example.".to_owned()),
        "{asked:?}"
    );
    assert!(
        !asked.contains(&"A ironic.c.example.".to_owned()),
        "{asked:?}"
    );
    assert!(!asked.contains(&"A ironic.".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_name_with_a_dot_at_its_end_is_not_searched() {
    let server = NameServer::start(|_| Reply::no_such_name()).await;
    let conf = format!("{}search example.org\n", server.line());
    let error = lookup(&conf, "ironic.").await.unwrap_err();
    assert_eq!(
        error,
        Error::NoSuchName {
            name: "ironic.".to_owned(),
            server: server.address.to_string(),
            tried: Tried::default(),
        }
    );
    assert_eq!(server.questions(), ["A ironic.", "AAAA ironic."]);
}

#[tokio::test]
async fn the_machines_domain_is_searched_where_the_file_has_none() {
    let server = NameServer::start(|question| match question {
        "A ironic.example.org." => Reply::address("192.0.2.1"),
        _ => Reply::no_such_name(),
    })
    .await;
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    std::fs::create_dir_all(folder.path().join("proc/sys/kernel")).unwrap();
    std::fs::write(
        root.path("proc/sys/kernel/hostname"),
        "node-1.example.org\n",
    )
    .unwrap();
    let found = Resolver::new(&root).lookup("ironic").await.unwrap();
    assert_eq!(found, ["192.0.2.1:0".parse().unwrap()]);
}

#[tokio::test]
async fn a_name_without_addresses_is_told_from_one_that_does_not_exist() {
    let server = NameServer::start(|question| match question {
        "A ironic.lab." | "AAAA ironic.lab." => Reply::Addresses(Vec::new()),
        _ => Reply::no_such_name(),
    })
    .await;
    let conf = format!("{}search example.org\n", server.line());
    let error = lookup(&conf, "ironic.lab").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot resolve ironic.lab: the name server {} has no address of it (asked for ironic.lab, \
             ironic.lab.example.org): add one to the server's zone",
            server.address
        )
    );
}

#[tokio::test]
async fn the_hosts_file_is_asked_before_any_server() {
    let server = NameServer::start(|_| Reply::address("192.0.2.9")).await;
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    std::fs::write(
        root.path("etc/hosts"),
        "192.0.2.1 ironic\n2001:db8::1 Ironic\n",
    )
    .unwrap();
    let found = Resolver::new(&root).lookup("ironic").await.unwrap();
    assert_eq!(
        found,
        [
            "192.0.2.1:0".parse().unwrap(),
            "[2001:db8::1]:0".parse().unwrap()
        ]
    );
    assert_eq!(server.queries(), []);
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_servers_say() {
    let server = NameServer::start(|_| Reply::address("192.0.2.9")).await;
    for name in ["localhost", "LOCALHOST.", "a.localhost"] {
        assert_eq!(
            lookup(&server.line(), name).await.unwrap(),
            ["127.0.0.1", "[::1]"],
            "{name}"
        );
    }
    assert_eq!(server.queries(), []);
}

#[tokio::test]
async fn what_is_no_name_is_asked_of_nobody() {
    let server = NameServer::start(|_| Reply::address("192.0.2.9")).await;
    for name in ["", ".", "a..b", "a b", &"a".repeat(64), &"a.".repeat(140)] {
        let error = lookup(&server.line(), name).await.unwrap_err();
        assert_eq!(error, Error::InvalidName(name.to_owned()));
    }
    assert_eq!(server.queries(), []);
}

#[tokio::test]
async fn an_alias_without_its_addresses_is_asked_for_again() {
    let server = NameServer::start(|question| match question {
        "A ironic.lab." => Reply::Alias("real.lab."),
        "A real.lab." => Reply::address("192.0.2.1"),
        _ => Reply::Addresses(Vec::new()),
    })
    .await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap(),
        ["192.0.2.1"]
    );
}

#[tokio::test]
async fn an_alias_with_its_addresses_is_asked_for_once() {
    let server = NameServer::start(|question| match question {
        "A ironic.lab." => Reply::AliasOf("real.lab.", "192.0.2.1".parse().unwrap()),
        _ => Reply::Addresses(Vec::new()),
    })
    .await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap(),
        ["192.0.2.1"]
    );
    assert_eq!(server.questions(), ["A ironic.lab.", "AAAA ironic.lab."]);
}

#[tokio::test]
async fn a_circle_of_aliases_ends() {
    let server = NameServer::start(|question| match question {
        "A a.lab." | "AAAA a.lab." => Reply::Alias("b.lab."),
        _ => Reply::Alias("a.lab."),
    })
    .await;
    let conf = format!("{}options attempts:1\n", server.line());
    let error = lookup(&conf, "a.lab").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot resolve a.lab: no usable answer from {} (too many aliases): look at the server that answered: whether it forwards the name's zone, and whom it serves",
            server.address
        )
    );
}
