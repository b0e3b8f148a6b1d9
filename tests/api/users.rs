//! What callers other than the conductor may take of the agent's memory, and that the conductor waits for none of them.

use super::callers::{Caller, SECRET};
use super::harness::{Api, Client, Door, TOKEN, commands, unhurried};
use ferrite::api::Limits;
use ferrite::policy::names::{COMMAND_GET, COMMAND_LIST, COMMAND_RUN};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const TEXT: &str = r#"{"name": "test.text", "params": {}}"#;
const MIB: usize = 1024 * 1024;

/// An observer may run commands here, but not `test.later`.
fn door() -> Door<'static> {
    Caller::nobody().door(&[
        (COMMAND_RUN, "rule:agent_admin or role:observer"),
        ("baremetal:agent:command:test.later", "rule:agent_admin"),
    ])
}

async fn api() -> Api {
    Api::behind(door()).await
}

/// The head of an observer's request to run a command.
fn head(framing: &str) -> String {
    let header = Caller::with_secret(SECRET).header;
    format!("POST /v1/commands/?wait=true HTTP/1.1\r\nHost: a\r\n{header}{framing}\r\n\r\n")
}

/// An observer's request to run a command, as far as it has come.
async fn begun(api: &Api, length: usize, body: &str) -> Client<TcpStream> {
    let mut client = api.connect().await;
    let head = head(&format!("Content-Length: {length}"));
    client.write(head + body).await;
    client
}

/// Whether nothing is answered yet, once everybody else had a turn.
async fn is_unanswered(client: &mut Client<TcpStream>) -> bool {
    timeout(Duration::from_millis(20), client.answer("POST"))
        .await
        .is_err()
}

fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_users_large_body_is_refused_at_once_and_the_conductors_is_taken() {
    let api = api().await;
    let refused = (
        413,
        "413 Payload Too Large: A request body has at most 1048576 bytes.".to_owned(),
    );
    for _ in 0..12 {
        let mut client = begun(&api, 95 * MIB, "{").await;
        assert_eq!(client.answer("POST").await.unwrap().fault(), refused);
    }
    // Without a length: when the first byte too much comes.
    let mut client = api.connect().await;
    let piece = format!("{:x}\r\n{}\r\n", MIB / 2 + 1, " ".repeat(MIB / 2 + 1));
    client
        .write(head("Transfer-Encoding: chunked") + &piece.repeat(2))
        .await;
    assert_eq!(client.answer("POST").await.unwrap().fault(), refused);
    let fits = format!("{}{TEXT}", " ".repeat(MIB - TEXT.len()));
    let mut client = begun(&api, fits.len(), &fits).await;
    assert_eq!(client.answer("POST").await.unwrap().status, 200);
    let large = json!({"text": "x".repeat(2 * MIB)});
    let answer = api.run("test.echo", large, "true").await;
    assert_eq!(answer.json()["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn one_users_body_is_read_at_a_time_and_the_conductor_waits_for_none() {
    let api = api().await;
    let (most, last) = TEXT.split_at(TEXT.len() - 1);
    let mut first = begun(&api, TEXT.len(), most).await;
    assert!(is_unanswered(&mut first).await);
    let mut second = begun(&api, TEXT.len(), TEXT).await;
    assert!(is_unanswered(&mut second).await);
    let answer = api.run("test.text", json!({}), "true").await;
    assert_eq!(answer.json()["command_status"], "SUCCEEDED");
    assert!(is_unanswered(&mut second).await);
    first.write(last).await;
    for mut client in [first, second] {
        let record = client.answer("POST").await.unwrap().json();
        assert_eq!(record["command_status"], "SUCCEEDED");
    }
}

#[tokio::test]
async fn a_users_body_that_comes_slowly_is_given_up_and_the_next_one_read() {
    let limits = Limits {
        body: Duration::from_millis(200),
        ..unhurried()
    };
    let api = Api::serve(limits, None, door(), commands).await;
    let mut slow = begun(&api, 1000, "{").await;
    // Each byte comes in time for the next one, and all of them never.
    let slowly = async {
        while is_unanswered(&mut slow).await {
            slow.write(" ").await;
        }
    };
    let next = async {
        let mut next = begun(&api, TEXT.len(), TEXT).await;
        next.answer("POST").await.unwrap().json()
    };
    let ((), record) = tokio::join!(slowly, next);
    assert_eq!(record["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn who_waits_for_a_commands_end_keeps_no_other_user_from_running_one() {
    let api = api().await;
    let hold = r#"{"name": "test.hold", "params": {}}"#;
    let mut waiting = begun(&api, hold.len(), hold).await;
    api.probe.begun().await;
    let mut second = begun(&api, TEXT.len(), TEXT).await;
    let busy = second.answer("POST").await.unwrap().fault();
    assert_eq!(
        busy,
        (409, "Agent is busy: executing command hold".to_owned())
    );
    api.probe.release.cancel();
    let record = waiting.answer("POST").await.unwrap().json();
    assert_eq!(
        record["command_result"],
        json!({"result": "hold: released"})
    );
}

#[tokio::test]
async fn a_body_of_more_values_than_any_command_has_is_refused_in_little_memory() {
    let api = api().await;
    let zeroes = |number: usize| {
        let zeroes = "0,".repeat(number - 1);
        format!(r#"{{"name": "test.text", "params": {{"a": [{zeroes}0]}}}}"#)
    };
    let refused = |max: u32| {
        let text = format!(
            "400 Bad Request: Failed to decode JSON object: it holds more than {max} values at line 1 column "
        );
        move |fault: (u16, String)| {
            assert_eq!(fault.0, 400);
            assert!(fault.1.starts_with(&text), "{}", fault.1);
        }
    };
    // Of users.
    let (fits, too_many) = (zeroes(9_996), zeroes(9_997));
    let mut client = begun(&api, too_many.len(), &too_many).await;
    refused(10_000)(client.answer("POST").await.unwrap().fault());
    let mut client = begun(&api, fits.len(), &fits).await;
    assert_eq!(client.answer("POST").await.unwrap().status, 200);
    // Of the conductor.
    let target = format!("/v1/commands/?agent_token={TOKEN}");
    let body = zeroes(95 * MIB / 2);
    let before = peak_memory();
    let answer = api.request("POST", &target, &body).await;
    let grown = peak_memory().saturating_sub(before);
    refused(100_000)(answer.fault());
    // The test's own copies of the body, and the server's.
    assert!(grown < 4 * 95 * MIB, "{grown} bytes");
    let answer = api.request("POST", &target, &zeroes(99_996)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_forbidden_command_is_refused_before_its_parameters_have_come() {
    let api = api().await;
    let denied = (
        403,
        "403 Forbidden: Access was denied to the following resource: baremetal:agent:command:test.later".to_owned(),
    );
    let mut client = begun(&api, 100_000, r#"{"name": "test.later", "params": {"a": "#).await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.fault(), denied);
    // A name that comes behind the parameters, and one that takes an allowed one's place.
    for body in [
        r#"{"params": {}, "name": "test.later"}"#,
        r#"{"name": "test.text", "params": {}, "name": "test.later"}"#,
    ] {
        let mut client = begun(&api, body.len(), body).await;
        assert_eq!(client.answer("POST").await.unwrap().fault(), denied);
    }
    assert_eq!(api.states().await, []);
}

#[tokio::test]
async fn answers_that_users_do_not_take_are_bounded_and_the_conductor_waits_for_none() {
    let api = Api::serve(
        Limits {
            user_answers: 2,
            ..unhurried()
        },
        None,
        door(),
        commands,
    )
    .await;
    let large = json!({"text": "x".repeat(6 * MIB)});
    api.run("test.echo", large, "true").await;
    let before = peak_memory();
    let header = Caller::with_secret(SECRET).header;
    let request = format!("GET /v1/commands/ HTTP/1.1\r\nHost: a\r\n{header}\r\n");
    let mut clients = Vec::new();
    for _ in 0..16 {
        // What the kernel takes in the client's place is none of the agent's memory.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = Client(socket.connect(api.address).await.unwrap());
        client.write(&request).await;
        clients.push(client);
    }
    for _ in 0..3 {
        assert_eq!(api.list().await["commands"].as_array().unwrap().len(), 1);
    }
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 60 * MIB, "{grown} bytes");
    // Whoever takes an answer makes room for the next.
    for client in &mut clients {
        let answer = client.answer("GET").await.unwrap();
        assert_eq!((answer.status, answer.body.len() > 6 * MIB), (200, true));
    }
}

#[tokio::test]
async fn an_observer_who_leaves_early_does_not_have_a_second_inventory_collected_beside_the_first()
{
    let api = api().await;
    api.probe.holds_inventories.store(true, Ordering::SeqCst);
    let header = Caller::with_secret(SECRET).header;
    let request = format!("GET /v1/inventory HTTP/1.1\r\nHost: a\r\n{header}\r\n");
    let mut leaving = api.connect().await;
    leaving.write(&request).await;
    api.probe.begun().await;
    for _ in 0..3 {
        drop(leaving);
        leaving = api.connect().await;
        leaving.write(&request).await;
        assert!(is_unanswered(&mut leaving).await);
    }
    api.probe.release.cancel();
    assert_eq!(leaving.answer("GET").await.unwrap().status, 200);
    assert_eq!(api.probe.most_inventories.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_conductor_without_a_token_waits_for_no_answers_that_others_do_not_take() {
    let api = Api::serve(
        Limits {
            user_answers: 1,
            // Of that twice as long is waited for a turn.
            body: Duration::from_millis(100),
            ..unhurried()
        },
        None,
        Caller::nobody().door(&[(COMMAND_LIST, "@"), (COMMAND_GET, "@")]),
        commands,
    )
    .await;
    let large = json!({"text": "x".repeat(6 * MIB)});
    let ran = api.run("test.echo", large, "true").await.json();
    let header = Caller::with_secret(SECRET).header;
    let request = format!("GET /v1/commands/ HTTP/1.1\r\nHost: a\r\n{header}\r\n");
    let mut holder = api.connect().await;
    holder.write(&request).await;
    let mut next = api.connect().await;
    next.write(&request).await;
    assert_eq!(next.answer("GET").await.unwrap().status, 503);
    let command = format!("/v1/commands/{}", ran["id"].as_str().unwrap());
    for target in ["/v1/commands/", &command] {
        assert_eq!(api.get(target).await.status, 200, "{target}");
    }
    assert_eq!(holder.answer("GET").await.unwrap().status, 200);
}

#[tokio::test]
async fn who_waits_for_leave_to_read_a_result_holds_none_of_it() {
    let api = Api::serve(
        Limits {
            user_answers: 1,
            // Of that twice as long is waited for leave: longer than all commands take.
            body: Duration::from_secs(2),
            ..unhurried()
        },
        None,
        door(),
        commands,
    )
    .await;
    api.run("test.echo", json!({"text": "x".repeat(6 * MIB)}), "true")
        .await;
    let header = Caller::with_secret(SECRET).header;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut holder = Client(socket.connect(api.address).await.unwrap());
    let request = format!("GET /v1/commands/ HTTP/1.1\r\nHost: a\r\n{header}\r\n");
    holder.write(&request).await;
    assert!(is_unanswered(&mut holder).await);

    let before = peak_memory();
    // Of small values, which take much more memory than text.
    let small: Vec<_> = (0..4900).map(|_| json!({"": 0})).collect();
    let params = json!({"small": small});
    let body = json!({"name": "test.echo", "params": params}).to_string();
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(begun(&api, body.len(), &body).await);
    }
    for client in &mut clients {
        assert_eq!(client.answer("POST").await.unwrap().status, 503);
    }
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 40 * MIB, "{grown} bytes");
}

/// Runs a command as an observer.
async fn run_as_observer(api: &Api, name: &str, wait: bool) -> Value {
    let header = Caller::with_secret(SECRET).header;
    let body = json!({"name": name, "params": {}}).to_string();
    let target = format!("/v1/commands/?wait={wait}");
    let answer = api.ask("POST", &target, &header, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The names and states of a list.
fn states(list: &Value) -> Vec<String> {
    let commands = list["commands"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    commands
        .map(|of| text(&of["command_name"]) + " " + &text(&of["command_status"]))
        .collect()
}

/// Ironic takes a list with a foreign record for that of an agent which is at something else (`agent_base._freshly_booted`,
/// `_get_completed_command`), and waits until its deployment has failed.
#[tokio::test]
async fn the_list_by_which_ironic_decides_has_what_users_are_running_and_nothing_that_they_ran() {
    let api = Api::behind(Caller::nobody().door(&[
        (COMMAND_RUN, "rule:agent_admin or role:observer"),
        (COMMAND_LIST, "@"),
    ]))
    .await;
    let header = Caller::with_secret(SECRET).header;
    let text = run_as_observer(&api, "test.text", true).await;
    assert_eq!(states(&api.list().await), Vec::<String>::new());
    api.run("test.null", json!({}), "true").await;
    run_as_observer(&api, "test.fail", true).await;
    let hold = run_as_observer(&api, "test.hold", false).await;
    api.probe.begun().await;
    let open = async || states(&api.get("/v1/commands/").await.json());
    for list in [states(&api.list().await), open().await] {
        assert_eq!(list, ["null SUCCEEDED", "hold RUNNING"]);
    }
    api.probe.release.cancel();
    let id = hold["id"].as_str().unwrap();
    let target = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    assert_eq!(
        api.get(&target).await.json()["command_status"],
        "SUCCEEDED",
        "the conductor finds it by its identifier"
    );
    for list in [states(&api.list().await), open().await] {
        assert_eq!(list, ["null SUCCEEDED"]);
    }
    let theirs = api.ask("GET", "/v1/commands/", &header, "").await.json();
    assert_eq!(theirs["commands"][0], text);
    assert_eq!(
        states(&theirs),
        [
            "text SUCCEEDED",
            "null SUCCEEDED",
            "fail FAILED",
            "hold SUCCEEDED"
        ]
    );
}

#[tokio::test]
async fn no_number_of_users_commands_displaces_a_record_or_a_result_of_ironics() {
    let api = api().await;
    let large = json!({"text": "x".repeat(32 * 1024)});
    // Ironic's places are all taken.
    for _ in 0..400 {
        api.run("test.text", json!({}), "true").await;
    }
    let ran = api.run("test.echo", large.clone(), "true").await.json();
    assert_eq!(ran["command_result"], large);
    let before = api.list().await;
    for _ in 0..600 {
        run_as_observer(&api, "test.text", true).await;
    }
    assert_eq!(api.list().await, before);
    api.run("test.text", json!({}), "true").await;
    let list = api.list().await;
    assert_eq!(
        list["commands"][398]["command_result"],
        json!({"omitted": "32779 bytes, kept until the next command"})
    );
}
