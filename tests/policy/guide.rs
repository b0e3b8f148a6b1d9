//! The guide to policies keeps its word.

use super::Place;
use super::check::recorded;
use serde_json::json;

const GUIDE: &str = include_str!("../../docs/policy.md");

/// Its example of a file.
pub(crate) fn example() -> String {
    let from = GUIDE.split("```yaml\n# Technicians").nth(1).unwrap();
    format!("# Technicians{}", from.split("```").next().unwrap())
}

#[test]
fn its_commands_do_what_it_says() {
    let (alice, project) = recorded("project");
    let node = json!({"node": {"owner": project}}).to_string();
    assert!(GUIDE.contains(&format!("$ echo '{}'", node.replace(':', ": "))));
    let place = Place::with(&[
        ("policy.yaml", &example()),
        ("alice.json", &alice),
        ("node.json", &node),
    ]);
    let commands = GUIDE
        .lines()
        .filter_map(|line| line.strip_prefix("$ ferrite policy "));
    let first_lines = commands.map(|command| {
        // Up to what is the shell's.
        let ended = place.run(command.split(['#', '>']).next().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{command}");
        ended.out.lines().next().unwrap_or_default().to_owned()
    });
    assert_eq!(
        first_lines.collect::<Vec<_>>(),
        [
            "# Whoever shows the agent token: Ironic's conductor",
            "RULE                                                      CONDUCTOR  OBSERVER  NOBODY",
            "failed: baremetal:agent:command:clean.execute_clean_step",
            "passed: baremetal:agent:command:list",
            "",
            "# Technicians may ask a machine for its steps, and for nothing else.",
        ]
    );
}

#[test]
fn its_names_are_names_of_rules() {
    let place = Place::with(&[]);
    let known = place.run("sample").out;
    let named = GUIDE
        .split(['`', '"', ' ', '\n'])
        .filter(|word| word.starts_with("baremetal:agent:") && !word.ends_with(':'));
    let unknown: Vec<&str> = named
        .filter(|name| !known.contains(&format!("#\"{name}\": ")))
        .collect();
    assert_eq!(unknown, [""; 0]);
}
