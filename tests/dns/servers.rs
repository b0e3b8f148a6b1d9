//! Which name servers are asked, in which order, and for how long.

use super::{conf, lookup};
use ferrite::dns::{Error, Failure, Failures, LOOKUP_TIMEOUT, Resolver};
use ferrite::root::Root;
use hickory_proto::op::ResponseCode;
use std::time::Duration;
use support::name_server::{NameServer, Reply, machine, write_resolv_conf};
use tokio::time::Instant;

const NAME: &str = "ironic.lab";

fn knows(address: &'static str) -> impl Fn(&str) -> Reply {
    move |question| match question {
        "A ironic.lab." => Reply::address(address),
        _ => Reply::Addresses(Vec::new()),
    }
}

#[tokio::test]
async fn the_second_server_is_not_asked_where_the_first_answers() {
    let second = NameServer::start(knows("192.0.2.2")).await;
    for (reply, wanted) in [
        (
            Reply::address("192.0.2.1"),
            Ok(vec!["192.0.2.1".to_owned()]),
        ),
        (Reply::no_such_name(), Err(())),
        (Reply::Addresses(Vec::new()), Err(())),
    ] {
        let first = NameServer::start(move |_| reply.clone()).await;
        let found = lookup(&conf(&[&first, &second]), NAME).await;
        assert_eq!(found.map_err(|_| ()), wanted);
        assert_eq!(first.questions(), ["A ironic.lab.", "AAAA ironic.lab."]);
    }
    assert_eq!(second.queries(), []);
}

#[tokio::test]
async fn the_second_server_is_asked_where_the_first_fails() {
    let silent = (Reply::Dropped, "options timeout:1\n");
    let failing = [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::NotImp,
    ]
    .map(|code| (Reply::Code(code), ""));
    for (reply, options) in failing.into_iter().chain([silent]) {
        let first = NameServer::start(move |_| reply.clone()).await;
        let second = NameServer::start(knows("192.0.2.2")).await;
        let conf = format!("{}{options}", conf(&[&first, &second]));
        assert_eq!(lookup(&conf, NAME).await.unwrap(), ["192.0.2.2"]);
        assert_eq!(second.queries().len(), 2);
    }
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_costs_no_time() {
    let gone = NameServer::start(|_| Reply::Dropped).await.line();
    let second = NameServer::start(knows("192.0.2.2")).await;
    let conf = format!("{gone}{}options timeout:30\n", second.line());
    let begin = Instant::now();
    assert_eq!(lookup(&conf, NAME).await.unwrap(), ["192.0.2.2"]);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn without_a_server_in_the_file_none_is_asked() {
    for text in ["", "search example.org\n", "nameserver none\n"] {
        let error = lookup(text, NAME).await.unwrap_err();
        assert_eq!(error, Error::NoServer(NAME.to_owned()));
    }
    let nowhere = Resolver::new(&Root::at("/nonexistent"));
    let error = nowhere.lookup(NAME).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot resolve ironic.lab: no name server is known (/etc/resolv.conf): give one by DHCP, by router advertisement \
         or with ip= on the kernel command line"
    );
}

#[tokio::test]
async fn a_changed_file_counts_from_the_next_look_up_on() {
    let first = NameServer::start(knows("192.0.2.1")).await;
    let second = NameServer::start(knows("192.0.2.2")).await;
    let folder = machine("");
    let root = Root::at(folder.path());
    let resolver = Resolver::new(&root);
    let found = async || Some(resolver.lookup(NAME).await.ok()?[0].ip().to_string());
    assert_eq!(found().await, None);
    for (server, address) in [
        (&first, "192.0.2.1"),
        (&second, "192.0.2.2"),
        (&first, "192.0.2.1"),
    ] {
        write_resolv_conf(folder.path(), &server.line());
        assert_eq!(found().await.as_deref(), Some(address));
    }
}

#[tokio::test]
async fn no_answer_is_cached() {
    let server = NameServer::start(|_| Reply::no_such_name()).await;
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    let resolver = Resolver::new(&root);
    for asked in [2, 4] {
        assert!(resolver.lookup(NAME).await.is_err());
        assert_eq!(server.queries().len(), asked);
    }
}

#[tokio::test]
async fn dropped_questions_for_ipv6_cost_a_moment() {
    let server = NameServer::start(|question| match question {
        "A ironic.lab." => Reply::address("192.0.2.1"),
        _ => Reply::Dropped,
    })
    .await;
    let begin = Instant::now();
    assert_eq!(
        lookup(&conf(&[&server]), NAME).await.unwrap(),
        ["192.0.2.1"]
    );
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn dropped_questions_for_ipv4_cost_a_moment() {
    let server = NameServer::start(|question| match question {
        "AAAA ironic.lab." => Reply::address("2001:db8::1"),
        _ => Reply::Dropped,
    })
    .await;
    let begin = Instant::now();
    assert_eq!(
        lookup(&conf(&[&server]), NAME).await.unwrap(),
        ["[2001:db8::1]"]
    );
    assert!(begin.elapsed() < Duration::from_secs(2));
}

/// The clock jumps wherever nothing can be done, and here nothing ever comes in.
#[tokio::test(start_paused = true)]
async fn three_silent_servers_are_each_asked_and_cost_no_more_than_the_limit() {
    let servers = [
        NameServer::start(|_| Reply::Dropped).await,
        NameServer::start(|_| Reply::Dropped).await,
        NameServer::start(|_| Reply::Dropped).await,
    ];
    for options in ["", "options timeout:30 attempts:5\nsearch a b c\n"] {
        let conf = format!("{}{options}", conf(&servers.each_ref()));
        let begin = Instant::now();
        let error = lookup(&conf, "ironic").await.unwrap_err();
        let lasted = begin.elapsed();
        assert!(
            lasted <= LOOKUP_TIMEOUT + Duration::from_millis(100),
            "{lasted:?}"
        );
        let timed_out = |server: &NameServer| (server.address.to_string(), Failure::TimedOut);
        assert_eq!(
            error,
            Error::Unanswered {
                name: "ironic".to_owned(),
                failures: Failures(servers.iter().map(timed_out).collect()),
            }
        );
    }
    let [first, second, third] = servers;
    assert_eq!(
        lookup(&conf(&[&first]), NAME)
            .await
            .unwrap_err()
            .to_string(),
        format!(
            "cannot resolve ironic.lab: no usable answer from {} (timed out): check that a name server can be reached",
            first.address
        )
    );
    drop((second, third));
}

#[tokio::test(start_paused = true)]
async fn timeout_and_attempts_of_the_file_count_as_far_as_the_limit_goes() {
    let server = NameServer::start(|_| Reply::Dropped).await;
    for (options, seconds) in [
        ("options timeout:1 attempts:1", 1),
        ("options timeout:1 attempts:3", 3),
        ("", 8),
    ] {
        let conf = format!("{}{options}\n", server.line());
        let begin = Instant::now();
        assert!(lookup(&conf, NAME).await.is_err());
        assert_eq!(begin.elapsed().as_secs(), seconds, "{options}");
    }
}

#[test]
fn code_that_blocks_resolves_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(NameServer::start(knows("192.0.2.1")));
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    let resolver = Resolver::new(&root);
    let found = runtime.block_on(async {
        tokio::task::spawn_blocking(move || resolver.lookup_blocking(NAME))
            .await
            .unwrap()
    });
    assert_eq!(found.unwrap(), ["192.0.2.1:0".parse().unwrap()]);
}
