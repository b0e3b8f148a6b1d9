//! What the agent would refuse, and who may do what.

use super::guide::example;
use super::{Ended, Place};
use serde_json::{Value, json};

/// What Keystone says of a token, by the name of a recorded one, and the caller's project.
pub(crate) fn recorded(name: &str) -> (String, Value) {
    let tokens: Value =
        serde_json::from_str(include_str!("../fixtures/keystone/tokens.json")).unwrap();
    let token = tokens.get(name).unwrap();
    let answer = token.get("answer").unwrap().to_string();
    (
        answer,
        token.pointer("/attributes/project_id").unwrap().clone(),
    )
}

fn passed(ended: &Ended) -> Vec<&str> {
    let lines = ended.out.lines();
    lines
        .filter_map(|line| line.strip_prefix("passed: "))
        .collect()
}

#[test]
fn without_credentials_the_agents_own_callers_are_told() {
    let place = Place::with(&[("policy.yaml", &example())]);
    let expected = "\
RULE                                                      CONDUCTOR  OBSERVER  NOBODY
baremetal:agent:root:get                                  yes        yes       yes
baremetal:agent:version:get                               yes        yes       yes
baremetal:agent:status:get                                yes        yes       yes
baremetal:agent:command:list                              yes        yes       no
baremetal:agent:command:get                               yes        yes       no
baremetal:agent:command:run                               yes        no        no
baremetal:agent:inventory:get                             yes        yes       no
baremetal:agent:log:get                                   yes        yes       no
baremetal:agent:secrets:show                              no         no        no
baremetal:agent:command:clean.execute_clean_step          yes        no        no
baremetal:agent:command:clean.get_clean_steps             yes        no        no
baremetal:agent:command:deploy.execute_deploy_step        yes        no        no
baremetal:agent:command:deploy.get_deploy_steps           yes        no        no
baremetal:agent:command:flow.start_flow                   yes        no        no
baremetal:agent:command:image.install_bootloader          yes        no        no
baremetal:agent:command:log.collect_system_logs           yes        no        no
baremetal:agent:command:poll.get_hardware_info            yes        no        no
baremetal:agent:command:poll.set_node_info                yes        no        no
baremetal:agent:command:rescue.finalize_rescue            yes        no        no
baremetal:agent:command:service.execute_service_step      yes        no        no
baremetal:agent:command:service.get_service_steps         yes        no        no
baremetal:agent:command:standby.get_partition_uuids       yes        no        no
baremetal:agent:command:standby.power_off                 yes        no        no
baremetal:agent:command:standby.prepare_image             yes        no        no
baremetal:agent:command:standby.run_image                 yes        no        no
baremetal:agent:command:standby.sync                      yes        no        no
baremetal:agent:command:system.lockdown                   yes        no        no
baremetal:agent:step:erase_devices_metadata               yes        no        no
baremetal:agent:step:inject_files                         no         no        no
baremetal:agent:step:write_image                          yes        no        no
";
    assert_eq!(place.run("check --file policy.yaml"), Ended::done(expected));
}

#[test]
fn who_may_not_run_commands_may_run_none() {
    let file = "baremetal:agent:command:standby.sync: '@'\nbaremetal:agent:step:write_image: '@'\n";
    let place = Place::with(&[("policy.yaml", file)]);
    let ended = place.run("check --file policy.yaml");
    for rule in ["command:standby.sync", "step:write_image"] {
        let row = format!(
            "{:56}  yes        no        no\n",
            format!("baremetal:agent:{rule}")
        );
        assert!(ended.out.contains(&row), "{}", ended.out);
    }
    // The rules themselves let everybody pass.
    let ended = place.run_with("check --file policy.yaml --credentials -", "{}");
    assert_eq!(
        passed(&ended),
        [
            "baremetal:agent:command:standby.sync",
            "baremetal:agent:root:get",
            "baremetal:agent:status:get",
            "baremetal:agent:step:write_image",
            "baremetal:agent:version:get",
        ]
    );
}

#[test]
fn a_user_of_keystones_passes_what_his_token_says() {
    let (system, _) = recorded("system");
    let (project, id) = recorded("project");
    let node = json!({"node": {"owner": id}}).to_string();
    let place = Place::with(&[
        ("policy.yaml", &example()),
        ("system.json", &system),
        ("project.json", &project),
        ("node.json", &node),
    ]);
    let run = |line: &str| place.run(&format!("check --file policy.yaml {line}"));
    let everybodys = [
        "baremetal:agent:root:get",
        "baremetal:agent:status:get",
        "baremetal:agent:version:get",
    ];
    assert_eq!(
        passed(&run("--credentials system.json")),
        [
            "baremetal:agent:command:get",
            "baremetal:agent:command:list",
            "baremetal:agent:inventory:get",
            "baremetal:agent:log:get",
            "baremetal:agent:root:get",
            "baremetal:agent:status:get",
            "baremetal:agent:version:get",
        ]
    );
    assert_eq!(passed(&run("--credentials project.json")), everybodys);
    assert_eq!(
        run("--credentials project.json --rule baremetal:agent:command:list"),
        Ended::done("failed: baremetal:agent:command:list\n")
    );
    assert_eq!(
        run("--credentials project.json --target node.json --rule baremetal:agent:command:list"),
        Ended::done("passed: baremetal:agent:command:list\n")
    );
}

#[test]
fn attributes_are_credentials_too_and_come_from_standard_input() {
    let place = Place::with(&[("policy.yaml", &example())]);
    let ended = place.run_with(
        "check --file policy.yaml --credentials -",
        r#"{"roles": ["technician"]}"#,
    );
    assert_eq!(
        passed(&ended),
        [
            "baremetal:agent:command:clean.get_clean_steps",
            "baremetal:agent:command:run",
            "baremetal:agent:root:get",
            "baremetal:agent:status:get",
            "baremetal:agent:version:get",
        ]
    );
    assert_eq!(ended.out.lines().count(), 30);
    let ended = place.run_with(
        "check --credentials - --rule system_admin",
        r#"{"roles": ["admin"], "system_scope": "all"}"#,
    );
    assert_eq!(ended, Ended::done("passed: system_admin\n"));
}

#[test]
fn rules_may_ask_which_command_or_step_it_is() {
    let file = "\
baremetal:agent:command:standby.sync: rule:agent_token or 'standby.sync':%(command)s
baremetal:agent:step:write_image: \"'write_image':%(step)s\"
";
    let place = Place::with(&[("policy.yaml", file)]);
    let ended = place.run_with("check --file policy.yaml --credentials -", "{}");
    let passed = passed(&ended);
    assert!(
        passed.contains(&"baremetal:agent:command:standby.sync"),
        "{ended:?}"
    );
    assert!(
        passed.contains(&"baremetal:agent:step:write_image"),
        "{ended:?}"
    );
}

#[test]
fn what_the_agent_refuses_ends_with_two() {
    for (file, reason) in [
        (
            "x: '@'\nbaremetal:agent:log:get: http://judge/\n",
            "policy.yaml:2: the rule \"baremetal:agent:log:get\" asks a server (http://judge/): an agent asks nobody on the network whether \
             it may obey; write the rule with roles and attributes",
        ),
        (
            "x: '@'\nbaremetal:agent:log:get: role:a or [1]:x\n",
            "policy.yaml:2: the rule \"baremetal:agent:log:get\" is refused: cannot accept \"[1]\" before the colon of a check: write a text in \
             quotes without a backslash ('sync'), an integer (7), a float (1.5), True, False, None, or the name of an attribute in ASCII \
             letters, digits, _ and dots (project.domain_id)",
        ),
        (
            "a: rule:b\nb: rule:a\n",
            "policy.yaml:1: the rules refer to one another in a circle, a → b → a: break it, for no question could ever be answered",
        ),
        (
            "baremetal:agent:command:run: ''\n",
            "it lets whoever reaches the agent run commands (baremetal:agent:command:run): a command needs a credential, always",
        ),
        (
            "baremetal:agent:command:standby.sync: '!'\n",
            "it keeps Ironic's conductor, who shows the agent token, from baremetal:agent:command:standby.sync (policy.yaml:1): the \
             machine would be lost to Ironic. Write `or rule:agent_token` into the rule, or, if this is meant, the line `# ferrite: \
             allow-conductor-lockout` at the head of the file",
        ),
    ] {
        let place = Place::with(&[("policy.yaml", file)]);
        assert_eq!(
            place.run("check --file policy.yaml"),
            Ended::unusable(reason)
        );
    }
}

#[test]
fn what_is_suspicious_is_told_and_the_rest_answered() {
    let file = "\
baremetal:agent:log:gte: '!'
baremetal:agent:secrets:show: rule:agent_token
";
    let place = Place::with(&[("policy.yaml", file)]);
    let ended = place.run("check --file policy.yaml");
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.err,
        "ferrite: warning: policy.yaml:1: nothing asks the rule \"baremetal:agent:log:gte\", and no rule refers to it; is \
         \"baremetal:agent:log:get\" meant?\n\
         ferrite: warning: secrets in results of commands are kept in memory and shown to whoever passes baremetal:agent:secrets:show\n"
    );
    assert!(ended.out.starts_with("RULE "));
}

#[test]
fn later_files_win() {
    let place = Place::with(&[
        ("a.yaml", "baremetal:agent:log:get: '!'\n"),
        ("b.yaml", "baremetal:agent:log:get: '@'\n"),
        ("policy.d/c.yaml", "baremetal:agent:log:get: role:c\n"),
    ]);
    let run = |files: &str| {
        let line = format!("check {files} --credentials - --rule baremetal:agent:log:get");
        place.run_with(&line, r#"{"roles": ["a"]}"#).out
    };
    assert_eq!(
        run("--file a.yaml --file b.yaml"),
        "passed: baremetal:agent:log:get\n"
    );
    assert_eq!(
        run("--file b.yaml --file a.yaml"),
        "failed: baremetal:agent:log:get\n"
    );
    assert_eq!(
        run("--dir policy.d --file b.yaml"),
        "failed: baremetal:agent:log:get\n"
    );
}

#[test]
fn credentials_and_targets_that_cannot_be_used_are_named() {
    let (mut bound, _) = recorded("project");
    bound = bound.replacen(
        "{\"token\":{",
        "{\"token\":{\"bind\":{\"kerberos\":\"x\"},",
        1,
    );
    let place = Place::with(&[
        ("bound.json", &bound),
        ("empty", ""),
        ("list.json", "[]"),
        ("odd.json", r#"{"token": {}}"#),
        ("roles.json", r#"{"roles": [{"name": "admin"}]}"#),
        ("good.json", "{}"),
    ]);
    for (line, reason) in [
        (
            "--credentials bound.json",
            "bound.json is no token that the agent would take: the token is bound to a Kerberos ticket",
        ),
        (
            "--credentials empty",
            "empty is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("--credentials list.json", "list.json is no JSON object"),
        (
            "--credentials odd.json",
            "odd.json is no token that the agent would take: a field is missing or of the wrong type",
        ),
        (
            "--credentials roles.json",
            "roles in roles.json is no list of names: write [\"admin\"], or give all that Keystone says of a token",
        ),
        (
            "--credentials gone.json",
            "gone.json cannot be read: No such file or directory (os error 2)",
        ),
        (
            "--credentials good.json --target list.json",
            "list.json is no JSON object",
        ),
        (
            "--credentials good.json --rule baremetal:agent:comand:list",
            "there is no rule \"baremetal:agent:comand:list\"; is \"baremetal:agent:command:list\" meant?",
        ),
    ] {
        let ended = place.run(&format!("check {line}"));
        assert_eq!(ended, Ended::unusable(reason), "{line}");
    }
}
