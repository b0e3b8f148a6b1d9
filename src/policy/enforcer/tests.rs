//! Tests of policy files over registered rules, scopes, deprecated names, and refused files.

use super::*;
use crate::policy::{DeprecatedRule, Deprecation, Found, Operation};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use tempfile::TempDir;

const fn rule(name: &'static str, check: &'static str) -> RuleDefault {
    RuleDefault {
        name,
        check,
        description: "",
        operations: &[Operation::Command("standby.sync")],
        scope_types: &[],
        deprecated_rule: None,
        deprecated_for_removal: None,
    }
}

static DEFAULTS: &[RuleDefault] = &[
    rule("admin_required", "role:admin"),
    rule("machine:wipe", "rule:admin_required"),
    rule("machine:never", "!"),
    RuleDefault {
        scope_types: &[Scope::System, Scope::Domain],
        ..rule("machine:scoped", "@")
    },
    RuleDefault {
        deprecated_rule: Some(DeprecatedRule {
            name: "wash",
            check: "role:washer",
            reason: "it is more than water",
            since: "2",
        }),
        ..rule("machine:clean", "role:cleaner")
    },
    RuleDefault {
        deprecated_for_removal: Some(Deprecation {
            reason: "nobody does it",
            since: "3",
        }),
        ..rule("machine:old", "role:admin")
    },
];

fn credentials(value: &serde_json::Value) -> Attributes {
    value.as_object().unwrap().clone()
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn settings(&self, text: &str) -> Settings {
        Settings {
            files: vec![self.write("policy.yaml", text)],
            ..Settings::default()
        }
    }

    fn load(&self, text: &str) -> Result<Enforcer, String> {
        Enforcer::load(DEFAULTS, self.settings(text))
            .map_err(|error| crate::error::chain(&error).replace(&self.shown(), ""))
    }

    fn warnings(&self, enforcer: &Enforcer) -> Vec<String> {
        let warnings = enforcer.warnings().into_iter();
        warnings
            .map(|warning| warning.replace(&self.shown(), ""))
            .collect()
    }

    fn shown(&self) -> String {
        format!("{}/", self.folder.path().display())
    }
}

fn why(enforcer: &Enforcer, rule: &str, who: &serde_json::Value) -> Option<Refusal> {
    let answer = enforcer.enforce(rule, &credentials(who), &Attributes::new());
    answer.err().map(|denied| denied.why)
}

fn allows(enforcer: &Enforcer, rule: &str, role: &str) -> bool {
    why(enforcer, rule, &json!({"roles": [role]})).is_none()
}

#[test]
fn what_is_given_stands_for_a_default_until_a_file_says_otherwise() {
    let place = Place::new();
    for (text, washer, cleaner) in [
        ("{}", true, false),
        ("machine:wipe: role:cleaner", false, true),
    ] {
        let settings = Settings {
            option_rules: vec![("machine:wipe", "role:washer")],
            ..place.settings(text)
        };
        let enforcer = Enforcer::load(DEFAULTS, settings).unwrap();
        assert_eq!(
            allows(&enforcer, "machine:wipe", "washer"),
            washer,
            "{text}"
        );
        assert_eq!(
            allows(&enforcer, "machine:wipe", "cleaner"),
            cleaner,
            "{text}"
        );
    }
}

#[test]
fn a_file_that_is_not_believed_is_refused_and_so_is_one_that_becomes_so() {
    let place = Place::new();
    let believed = |found: &Found| match found.metadata.len() {
        _ if found.metadata.is_dir() => Ok(()),
        0..20 => Ok(()),
        _ => Err("it is long"),
    };
    let load = |text| {
        let settings = Settings {
            is_trusted: believed,
            ..place.settings(text)
        };
        Enforcer::load(DEFAULTS, settings)
    };
    let long = "machine:wipe: role:washer";
    let error = load(long).unwrap_err().to_string();
    let told = format!("{}policy.yaml is not taken: it is long", place.shown());
    assert_eq!(error, told);
    let enforcer = load("machine:wipe: \"@\"").unwrap();
    place.write("policy.yaml", long);
    let error = enforcer.reload_if_changed().unwrap_err().to_string();
    assert_eq!(error, told);
    assert!(allows(&enforcer, "machine:wipe", "anybody"));
}

#[test]
fn a_file_in_a_folder_where_others_may_replace_it_is_refused() {
    let place = Place::new();
    let believed = |found: &Found| match found.metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("it is open"),
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("policy.yaml");
    let mut settings = Settings {
        is_trusted: believed,
        ..place.settings("machine:wipe: \"@\"")
    };
    let file = settings.files[0].clone();
    symlink(&file, &link).unwrap();
    for path in [file.clone(), link] {
        settings.files = vec![path];
        for (mode, is_taken) in [
            (0o755, true),
            (0o777, false),
            (0o775, false),
            (0o1777, true),
        ] {
            let folder = file.parent().unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = Enforcer::load(DEFAULTS, settings.clone());
            let error = loaded.err().map(|error| error.to_string());
            let refusal = format!("{} is not taken: it is open", folder.display());
            let expected = (!is_taken).then_some(refusal);
            assert_eq!(error, expected, "{mode:o}");
        }
    }
}

/// The file's own folder is closed, but its parent is writable, so the folder can be renamed. Or
/// the path has a symbolic link that can be replaced.
#[test]
fn a_file_that_is_found_by_way_of_an_open_folder_is_refused() {
    let place = Place::new();
    let believed = |found: &Found| match found.metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("it is open"),
    };
    let mut settings = Settings {
        is_trusted: believed,
        ..place.settings("machine:wipe: \"@\"")
    };
    let file = settings.files[0].clone();
    let outside = tempfile::tempdir().unwrap();
    // The path of the temporary folder may contain symbolic links itself.
    let outside = outside.path().canonicalize().unwrap();
    let open = outside.join("open");
    let closed = open.join("closed");
    fs::create_dir_all(&closed).unwrap();
    fs::copy(&file, closed.join("policy.yaml")).unwrap();
    symlink(&file, open.join("link.yaml")).unwrap();
    symlink("open/link.yaml", outside.join("first.yaml")).unwrap();
    symlink(&closed, open.join("folder")).unwrap();
    symlink("open/folder", outside.join("folder")).unwrap();
    for path in [
        "open/closed/policy.yaml",
        "first.yaml",
        "folder/policy.yaml",
    ] {
        settings.files = vec![outside.join(path)];
        for (mode, is_taken) in [(0o755, true), (0o777, false), (0o1777, true)] {
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = Enforcer::load(DEFAULTS, settings.clone());
            let error = loaded.err().map(|error| error.to_string());
            let refusal = format!("{} is not taken: it is open", open.display());
            assert_eq!(error, (!is_taken).then_some(refusal), "{path} {mode:o}");
        }
    }
}

#[test]
fn a_policy_that_locks_the_conductor_out_is_taken_only_when_its_head_says_so() {
    let place = Place::new();
    let lockout = "\"baremetal:agent:command:run\": \"!\"";
    let load = |text: &str| Enforcer::load(crate::policy::DEFAULTS, place.settings(text));
    assert!(
        load(lockout)
            .unwrap_err()
            .to_string()
            .starts_with("it keeps Ironic's conductor")
    );
    // The denying rule is one that the command's rule refers to.
    let error = load("# mine\nagent_admin: \"!\"").unwrap_err().to_string();
    let told = format!(
        "from baremetal:agent:command:list ({}policy.yaml:2), ",
        place.shown()
    );
    assert!(error.contains(&told), "{error}");
    let by_name = "\"baremetal:agent:command:standby.sync\": \"rule:agent_token and not 'standby.sync':%(command)s\"";
    assert!(load(by_name).is_err());
    let confirmed = "# ferrite: allow-conductor-lockout";
    assert!(load(&format!("{lockout}\n{confirmed}\n")).is_err());
    assert!(load(&format!("# mine\n{confirmed}\n{lockout}\n")).is_ok());
}

#[test]
fn a_policy_that_locks_the_conductor_out_of_some_nodes_is_refused() {
    let place = Place::new();
    let load = |rule: &str, text: &str| {
        let mine = "mine: \"not 'acme':%(node.owner)s\"";
        let text = format!("{mine}\n\"{rule}\": \"{text}\"\n");
        Enforcer::load(crate::policy::DEFAULTS, place.settings(&text)).map_err(|e| e.to_string())
    };
    let rules = [
        "baremetal:agent:command:run",
        "baremetal:agent:command:list",
        "baremetal:agent:command:standby.sync",
    ];
    for rule in rules {
        for text in [
            "rule:agent_token and not 'acme':%(node.owner)s",
            "rule:agent_token and rule:mine",
            "rule:agent_token and 'acme':%(node.lessee)s",
            "role:%(node.owner)s",
            "is_agent_token:%(node.owner)s",
            "rule:agent_token and not 'x':%(node.uuid)s%(node.owner)s",
        ] {
            let error = load(rule, text).unwrap_err();
            let told = format!(
                "from {rule} ({}policy.yaml:2, for some nodes): the machine would be lost to Ironic",
                place.shown()
            );
            assert!(error.contains(&told), "{rule} {text}: {error}");
        }
        for text in [
            "rule:agent_token or 'acme':%(node.owner)s",
            "'acme':%(node.owner)s or rule:agent_token",
            "rule:agent_token and not user_id:%(node.owner)s",
            "rule:agent_token and (rule:mine or not rule:mine or @)",
        ] {
            assert_eq!(load(rule, text).map(drop), Ok(()), "{rule} {text}");
        }
    }
    let name = "\"rule:agent_token and not 'standby.power_off':%(command)s\"";
    let text = format!("\"baremetal:agent:command:standby.sync\": {name}\n");
    assert!(Enforcer::load(crate::policy::DEFAULTS, place.settings(&text)).is_ok());
    let confirmed = format!("# ferrite: {}\n", crate::policy::invariants::LOCKOUT);
    let text = format!("{confirmed}\"{}\": rule:mine\n", rules[0]);
    assert!(Enforcer::load(crate::policy::DEFAULTS, place.settings(&text)).is_ok());
}

#[test]
fn a_rule_that_only_a_target_opens_to_everybody_is_warned_of() {
    let place = Place::new();
    let load = |text: &str| {
        let text = format!("\"baremetal:agent:command:run\": \"{text}\"\n");
        let loaded = Enforcer::load(crate::policy::DEFAULTS, place.settings(&text));
        loaded
            .map(|enforcer| place.warnings(&enforcer))
            .map_err(|error| error.to_string())
    };
    let warned = "policy.yaml:1: the rule \"baremetal:agent:command:run\" is passed without a credential for some nodes: who shows none is \
                  refused all the same";
    assert_eq!(
        load("rule:agent_admin or 'acme':%(node.owner)s"),
        Ok(vec![warned.to_owned()])
    );
    assert_eq!(
        load("rule:agent_admin or project_id:%(node.owner)s"),
        Ok(Vec::new())
    );
    let refused = "it lets whoever reaches the agent run commands (baremetal:agent:command:run): a command needs a credential, always";
    assert_eq!(
        load("rule:agent_token or not 'acme':%(node.owner)s"),
        Err(refused.to_owned())
    );
}

#[test]
fn without_files_the_defaults_are_in_force() {
    let enforcer = Enforcer::load(DEFAULTS, Settings::default()).unwrap();
    assert!(allows(&enforcer, "machine:wipe", "ADMIN"));
    assert!(!allows(&enforcer, "machine:wipe", "member"));
    assert_eq!(
        why(&enforcer, "nothing", &json!({})),
        Some(Refusal::UnknownRule)
    );
    assert_eq!(enforcer.warnings(), Vec::<String>::new());
    assert_eq!(enforcer.files(), []);
}

#[test]
fn a_file_overrides_and_directories_override_it_in_their_order() {
    let place = Place::new();
    let mut settings =
        place.settings("machine:wipe: role:a\nmachine:old: role:a\nadmin_required: role:a\n");
    place.write("policy.d/20.yaml", "machine:old: role:c\n");
    place.write(
        "policy.d/10.json",
        r#"{"machine:old": "role:b", "machine:wipe": "role:b"}"#,
    );
    place.write("policy.d/.hidden", "this is no policy");
    place.write("policy.d/below/30.yaml", "machine:old: role:d\n");
    settings.directories = vec![place.folder.path().join("policy.d")];
    let enforcer = Enforcer::load(DEFAULTS, settings).unwrap();
    assert!(allows(&enforcer, "admin_required", "a"));
    assert!(allows(&enforcer, "machine:wipe", "b"));
    assert!(allows(&enforcer, "machine:old", "c"));
    assert!(!allows(&enforcer, "machine:old", "d"));
    let read: Vec<_> = enforcer
        .files()
        .into_iter()
        .map(|file| {
            (
                file.path.file_name().unwrap().to_str().unwrap().to_owned(),
                file.rules,
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            ("policy.yaml".to_owned(), 3),
            ("10.json".to_owned(), 2),
            ("20.yaml".to_owned(), 1)
        ]
    );
}

#[test]
fn a_token_of_another_scope_is_refused_unless_scopes_are_not_enforced() {
    let mut settings = Settings::default();
    let enforcer = Enforcer::load(DEFAULTS, settings.clone()).unwrap();
    for (who, refusal) in [
        (json!({}), Some(Refusal::WrongScope)),
        (json!({"project_id": "p"}), Some(Refusal::WrongScope)),
        (json!({"domain_id": "d"}), None),
        (json!({"system_scope": "all", "project_id": "p"}), None),
        (json!({"system": "all"}), None),
        (
            json!({"system_scope": null, "domain_id": ""}),
            Some(Refusal::WrongScope),
        ),
    ] {
        assert_eq!(why(&enforcer, "machine:scoped", &who), refusal, "{who}");
    }
    settings.enforce_scope = false;
    let enforcer = Enforcer::load(DEFAULTS, settings).unwrap();
    assert_eq!(why(&enforcer, "machine:scoped", &json!({})), None);
}

#[test]
fn what_a_file_says_of_an_old_name_holds_for_the_new_one() {
    let place = Place::new();
    let enforcer = place.load("wash: role:bather\n").unwrap();
    assert!(allows(&enforcer, "machine:clean", "bather"));
    assert!(!allows(&enforcer, "machine:clean", "cleaner"));
    assert_eq!(
        place.warnings(&enforcer),
        [
            "policy.yaml:1: the rule \"wash\" (\"role:washer\") was given up in 2 in favour of \"machine:clean\" (\"role:cleaner\"): \
             it is more than water"
        ]
    );
    // The old default, a reference to the new name, and a rule for the new name change nothing.
    for text in [
        "wash: role:washer",
        "wash: rule:machine:clean",
        "wash: role:a\nmachine:clean: role:cleaner",
    ] {
        let enforcer = place.load(text).unwrap();
        assert!(allows(&enforcer, "machine:clean", "cleaner"), "{text}");
        assert!(!allows(&enforcer, "machine:clean", "washer"), "{text}");
    }
}

#[test]
fn old_defaults_are_allowed_besides_when_new_ones_are_not_enforced() {
    let settings = Settings {
        enforce_new_defaults: false,
        ..Settings::default()
    };
    let enforcer = Enforcer::load(DEFAULTS, settings).unwrap();
    assert!(allows(&enforcer, "machine:clean", "washer"));
    assert!(allows(&enforcer, "machine:clean", "cleaner"));
    let enforcer = Enforcer::load(DEFAULTS, Settings::default()).unwrap();
    assert!(!allows(&enforcer, "machine:clean", "washer"));
}

#[test]
fn the_default_rule_stands_for_missing_ones() {
    let place = Place::new();
    let enforcer = place
        .load("default: role:a\nmachine:wipe: rule:gone\n")
        .unwrap();
    assert!(allows(&enforcer, "nothing", "a"));
    assert!(allows(&enforcer, "machine:wipe", "a"));
    assert!(!allows(&enforcer, "nothing", "b"));
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let place = Place::new();
    for (text, error) in [
        (
            "a: rule:b\nb: role:x or rule:a",
            "policy.yaml:1: the rules refer to one another in a circle, a → b → a: break it, for no question could ever be answered",
        ),
        (
            "x: '@'\nmachine:wipe: role:a and https://judge/%(x)s",
            "policy.yaml:2: the rule \"machine:wipe\" asks a server (https://judge/%(x)s): an agent asks nobody on the network whether it may obey; write the rule with roles and attributes",
        ),
        (
            "a: 1",
            "policy.yaml:1: the rule \"a\" is a text, and this is a number: write it in quotes",
        ),
        (
            "a: 1:30",
            "policy.yaml:1: the rule \"a\" is a text, and this is a number: write it in quotes",
        ),
        (
            "a: 2026-01-01",
            "policy.yaml:1: the rule \"a\" is a text, and this is a date: write it in quotes",
        ),
        (
            "a: {b: c}",
            "policy.yaml:1: the rule \"a\" is a text, and this is a mapping: write it in quotes",
        ),
        (
            "a: [[yes]]",
            "policy.yaml:1: the rule \"a\" is a text, and this is a truth value: write it in quotes",
        ),
        (
            "a: [[[b]]]",
            "policy.yaml:1: the rule \"a\" is a text, and this is a list of lists of lists: write it in quotes",
        ),
        ("1: role:a", "policy.yaml:1: the name of a rule is a text"),
        (
            "a: !",
            "policy.yaml:1: tags (!) are not taken: a rule that nobody passes is \"!\", in quotes",
        ),
        (
            "a: &x role:a\nb: *x",
            "policy.yaml:1: anchors and aliases (&, *) are not taken: write the rule out, or refer to it with rule:",
        ),
        (
            "- a",
            "policy.yaml:1: a policy file is a mapping of names to rules, one a line: \"name\": \"rule\"",
        ),
        (
            "role:a",
            "policy.yaml:1: a policy file is a mapping of names to rules, one a line: \"name\": \"rule\"",
        ),
        (
            "a: role:b\nb: 'role:c\u{2028}'",
            "policy.yaml:2: the character \\u{2028} has no place in a policy",
        ),
        (
            "a: role:b\n---\nc: role:d",
            "policy.yaml:2: a policy file is one document, and here begins another",
        ),
    ] {
        assert_eq!(place.load(text).unwrap_err(), error, "{text}");
    }
    let big = format!("a: role:b\n#{}", "x".repeat(256 << 10));
    assert_eq!(
        place.load(&big).unwrap_err(),
        "policy.yaml is larger than 262144 bytes: no policy needs that many"
    );
    let settings = |file: &str| Settings {
        files: vec![file.into()],
        ..Settings::default()
    };
    let error = Enforcer::load(DEFAULTS, settings("/dev/null")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev/null is no regular file: name a file with rules"
    );
    let error = Enforcer::load(DEFAULTS, settings("/none")).unwrap_err();
    assert_eq!(error.to_string(), "/none cannot be read");
    fs::write(place.folder.path().join("latin"), b"a: role:b\n# \xff").unwrap();
    let error = Enforcer::load(DEFAULTS, settings(&format!("{}latin", place.shown()))).unwrap_err();
    assert!(
        error.to_string().ends_with("latin:2: this is not UTF-8"),
        "{error}"
    );
}

#[test]
fn files_without_rules_have_none() {
    let place = Place::new();
    for text in ["", "# nothing\n", "---\n", "{}", "null", "---\n...\n"] {
        let enforcer = place.load(text).unwrap();
        assert_eq!(enforcer.files()[0].rules, 0, "{text}");
        assert!(allows(&enforcer, "machine:wipe", "admin"));
    }
}

#[test]
fn what_is_suspicious_is_said() {
    let place = Place::new();
    let enforcer = place
        .load(
            "machine:wip: role:a\nmachine:wipe: rule:admin_requird or role:b\nmachine:old: ~\nmachine:clean: a b\n\
             machine:clean: role:x\n",
        )
        .unwrap();
    assert_eq!(
        place.warnings(&enforcer),
        [
            "policy.yaml:3: the rule \"machine:old\" has no value, and so everybody passes it: write \"!\" for nobody or \"@\" for everybody",
            "policy.yaml:5: the rule \"machine:clean\" is here again, and the one of line 4 is not used",
            "policy.yaml:3: the rule \"machine:old\" will be gone, and what is said of it with it (since 3): nobody does it",
            "policy.yaml:1: nothing asks the rule \"machine:wip\", and no rule refers to it; is \"machine:wipe\" meant?",
            "policy.yaml:2: the rule \"machine:wipe\" refers to \"admin_requird\", which does not exist: that part is false; is \"admin_required\" meant?",
        ]
    );
    assert!(allows(&enforcer, "machine:old", "anybody"));
}

/// oslo.policy takes such a part for false: behind `not` it would allow requests that the rule was
/// to deny.
#[test]
fn a_rule_that_cannot_be_understood_refuses_the_file_with_its_line() {
    let place = Place::new();
    let long = format!("role:{}", "a".repeat(1 << 16));
    for (rule, doubt) in [
        (
            "admin and role:x",
            "\"admin\" is no check, for it has no colon",
        ),
        (
            "role:a or or user_id:x",
            "\"role:a or or user_id:x\" is not a sequence of checks, and, or, not and parentheses",
        ),
        (
            "\"user:a or '%(a'\"",
            "'%(a' is a text, and no check takes one",
        ),
        (&long, "it has 65541 bytes, more than 65536"),
    ] {
        let text =
            format!("a: \"@\"\nmachine:wipe: {rule}\nmachine:never: not rule:machine:wipe\n");
        let told =
            format!("policy.yaml:2: the rule \"machine:wipe\" cannot be understood: {doubt}");
        assert_eq!(place.load(&text).err(), Some(told));
    }
}

#[test]
fn a_construction_that_is_not_accepted_refuses_the_file_with_its_line() {
    let left = "before the colon of a check: write a text in quotes without a backslash ('sync'), an integer (7), a float (1.5), True, \
                False, None, or the name of an attribute in ASCII letters, digits, _ and dots (project.domain_id)";
    let right =
        "after the colon of a check: of formats with % write %(name)s alone, as in %(node.owner)s";
    let place = Place::new();
    for (check, part, instead) in [
        ("[1,2]:x", "[1,2]", left),
        ("{}:x", "{}", left),
        // Parentheses at the start of a word are tokens of their own.
        ("():x", ")", left),
        ("(1,):x", "1,)", left),
        ("b'x':x", "b'x'", left),
        ("1+2j:x", "1+2j", left),
        ("...:x", "...", left),
        ("0x7:x", "0x7", left),
        ("007:x", "007", left),
        ("1_000:x", "1_000", left),
        ("'a\\x41':x", "'a\\\\x41'", left),
        ("r'a':x", "r'a'", left),
        ("'a''b':x", "'a''b'", left),
        ("class:x", "class", left),
        ("user-id:x", "user-id", left),
        ("größe:x", "größe", left),
        ("1+2:x", "1+2", left),
        ("a[0]:x", "a[0]", left),
        ("f(x):x", "f(x)", left),
        ("'a:b':x", "'a", left),
        (":x", "", left),
        ("role:%(level)d", "%(level)d", right),
        ("level:%(level)05d", "%(level)05d", right),
        ("user:%(user)r", "%(user)r", right),
        ("user:%(user).2s", "%(user).2s", right),
        ("user:%(user)5s", "%(user)5s", right),
        ("user:%s", "%s", right),
        ("user:100%%", "100%%", right),
        ("user:%(user", "%(user", right),
    ] {
        let told = format!(
            "policy.yaml:3: the rule \"machine:wipe\" is refused: cannot accept \"{part}\" {instead}"
        );
        let check = check.replace('\\', "\\\\");
        for rule in [
            format!("\"role:a or not ( {check} )\""),
            format!("\n  \"role:a or {check}\""),
        ] {
            let text = format!("a: role:b\n\nmachine:wipe: {rule}\n");
            assert_eq!(place.load(&text).err(), Some(told.clone()), "{text}");
        }
    }
}

#[test]
fn a_refused_check_of_the_old_lists_has_its_file_and_line_too() {
    let place = Place::new();
    let text = "machine:never: '!'\nmachine:wipe: [[role:a], ['user id:x']]\n";
    let error = place.load(text).unwrap_err();
    let told = "policy.yaml:2: the rule \"machine:wipe\" is refused: cannot accept \"user id\" before the colon";
    assert!(error.starts_with(told), "{error}");
}

#[test]
fn comments_above_the_first_rule_have_options() {
    let place = Place::new();
    let text = "# A policy.\n\n#ferrite: allow-conductor-lockout\n---\n# ferrite:  another \na: role:b\n# ferrite: too late\n";
    let enforcer = place.load(text).unwrap();
    assert_eq!(
        enforcer.files()[0].options,
        ["allow-conductor-lockout", "another"]
    );
}

#[test]
fn a_changed_file_is_in_force_at_once_and_a_wrong_one_never() {
    let place = Place::new();
    let settings = place.settings("machine:wipe: role:a");
    let directory = place.folder.path().join("policy.d");
    let settings = Settings {
        directories: vec![directory.clone()],
        ..settings
    };
    fs::create_dir(&directory).unwrap();
    let enforcer = Enforcer::load(DEFAULTS, settings).unwrap();
    assert_eq!(enforcer.reload_if_changed().unwrap(), Reload::Unchanged);

    place.write("policy.yaml", "machine:wipe: role:bb");
    assert_eq!(enforcer.reload_if_changed().unwrap(), Reload::Replaced);
    assert!(allows(&enforcer, "machine:wipe", "bb"));
    assert_eq!(enforcer.reload_if_changed().unwrap(), Reload::Unchanged);

    place.write("policy.yaml", "machine:wipe: 17");
    for _ in 0..2 {
        let error = enforcer.reload_if_changed().unwrap_err().to_string();
        assert!(
            error.ends_with("this is a number: write it in quotes"),
            "{error}"
        );
        assert!(allows(&enforcer, "machine:wipe", "bb"));
    }
    place.write("policy.yaml", "machine:wipe: role:%(role)r");
    let error = enforcer.reload_if_changed().unwrap_err().to_string();
    assert!(
        error.ends_with("policy.yaml:1: the rule \"machine:wipe\" is refused"),
        "{error}"
    );
    assert!(allows(&enforcer, "machine:wipe", "bb"));

    place.write("policy.yaml", "machine:wipe: role:bb");
    place.write("policy.d/a.yaml", "machine:wipe: role:ccc");
    assert_eq!(enforcer.reload_if_changed().unwrap(), Reload::Replaced);
    assert!(allows(&enforcer, "machine:wipe", "ccc"));

    // A missing directory does not revoke its rules: built-in rules may allow what it forbids.
    let away = place.folder.path().join("away");
    fs::rename(&directory, &away).unwrap();
    assert!(enforcer.reload_if_changed().is_err());
    assert!(allows(&enforcer, "machine:wipe", "ccc"));
    fs::rename(&away, &directory).unwrap();
    assert_eq!(enforcer.reload_if_changed().unwrap(), Reload::Unchanged);

    fs::remove_file(place.folder.path().join("policy.d/a.yaml")).unwrap();
    assert_eq!(enforcer.reload_if_changed().unwrap(), Reload::Replaced);
    assert!(allows(&enforcer, "machine:wipe", "bb"));

    fs::remove_file(place.folder.path().join("policy.yaml")).unwrap();
    assert!(enforcer.reload_if_changed().is_err());
    assert!(allows(&enforcer, "machine:wipe", "bb"));
}

#[test]
fn nobody_passes_never() {
    let place = Place::new();
    let enforcer = place
        .load("machine:wipe: rule:machine:never and role:a")
        .unwrap();
    assert!(enforcer.always_denies("machine:never"));
    assert!(enforcer.always_denies("machine:wipe"));
    assert!(enforcer.always_denies("nothing"));
    assert!(!enforcer.always_denies("admin_required"));
}

#[test]
fn an_enforcer_is_shared() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Enforcer>();
}

#[test]
fn a_file_full_of_names_takes_no_time() {
    let place = Place::new();
    let many: String = (0..20_000)
        .map(|number| format!("n{number}: a:b\n"))
        .collect();
    assert_eq!(place.load(&many).unwrap().files()[0].rules, 20_000);
    let same = "n: a:b\n".repeat(30_000);
    let enforcer = place.load(&same).unwrap();
    assert_eq!(enforcer.files()[0].rules, 1);
    let lists = format!("n: [{}]", "a,".repeat(100_000));
    let told = "policy.yaml:1: the rule \"n\" cannot be understood: \"a\" is no check, for it has no colon";
    assert_eq!(place.load(&lists).err(), Some(told.to_owned()));
    let one_line = r#"{"machine:wipe": "role:a", "machine:wipe": "role:b"}"#;
    let enforcer = place.load(one_line).unwrap();
    assert!(allows(&enforcer, "machine:wipe", "b"));
    assert_eq!(enforcer.files()[0].rules, 1);
}
