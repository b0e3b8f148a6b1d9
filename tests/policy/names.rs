//! Rules that could go, and old names.

use super::{Ended, Place};
use std::fs;

#[test]
fn rules_that_say_what_is_built_in_are_printed_as_they_are_built_in() {
    let place = Place::with(&[
        (
            "policy.yaml",
            "agent_reader: (rule:agent_admin) OR rule:system_reader\nbaremetal:agent:log:get: '!'\nmine: '@'\n",
        ),
        ("policy.d/a.yaml", "baremetal:agent:status:get: ''\n"),
    ]);
    assert_eq!(
        place.run("list-redundant --file policy.yaml --dir policy.d"),
        Ended::done(
            "\"agent_reader\": \"rule:agent_admin or rule:system_reader\"\n\"baremetal:agent:status:get\": \"@\"\n"
        )
    );
}

#[test]
fn new_names_take_the_place_of_old_ones_and_the_file_stays_as_it_is() {
    let before = "# Ours.\nis_admin: role:boss  # is_admin\nis_observer: rule:system_reader\nmine: rule:is_admin\n";
    let place = Place::with(&[("policy.yaml", before)]);
    assert_eq!(
        place.run("upgrade --file policy.yaml"),
        Ended {
            code: Some(0),
            out: "# Ours.\nsystem_admin: role:boss  # is_admin\nis_observer: rule:system_reader\nmine: rule:system_admin\n".to_owned(),
            err: "ferrite: policy.yaml:2: the rule \"is_admin\" is \"system_admin\" now\n\
                  ferrite: policy.yaml:3: the rule \"is_observer\" stays: it refers to \"system_reader\"; write that name where rules \
                  refer to \"is_observer\", and the line can go\n"
                .to_owned(),
        }
    );
    let after = fs::read_to_string(place.path().join("policy.yaml")).unwrap();
    assert_eq!(after, before);
}

#[test]
fn an_upgraded_file_answers_as_before() {
    let place = Place::with(&[(
        "old.yaml",
        "is_admin: role:boss\nbaremetal:agent:log:get: rule:is_admin or rule:agent_token\n",
    )]);
    let new = place.run("upgrade --file old.yaml").out;
    fs::write(place.path().join("new.yaml"), new).unwrap();
    let boss = r#"{"roles": ["boss"]}"#;
    let before = place.run_with("check --file old.yaml --credentials -", boss);
    let after = place.run_with("check --file new.yaml --credentials -", boss);
    assert!(before.out.contains("passed: baremetal:agent:log:get\n"));
    assert_eq!(
        (after.out.as_str(), after.err.as_str()),
        (before.out.as_str(), "")
    );
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_line() {
    let place = Place::with(&[("wrong.yaml", "a: '@'\nb: yes\n")]);
    let wrong =
        "wrong.yaml:2: the rule \"b\" is a text, and this is a truth value: write it in quotes";
    let gone = "gone.yaml cannot be read: No such file or directory (os error 2)";
    for command in ["list-redundant", "upgrade", "check"] {
        let run = |file: &str| place.run(&format!("{command} --file {file}"));
        assert_eq!(run("wrong.yaml"), Ended::unusable(wrong), "{command}");
        assert_eq!(run("gone.yaml"), Ended::unusable(gone), "{command}");
    }
    let gone = Ended::unusable("gone is no directory");
    assert_eq!(place.run("list-redundant --dir gone"), gone);
    assert_eq!(place.run("check --dir gone"), gone);
}
