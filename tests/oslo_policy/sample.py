"""The real oslopolicy-sample-generator, with a table of rules that it is given.

Standard input has {"rules", "written"}, a table and a policy file with all of its rules; standard output has what the generator
writes of the table, and what the library makes of the file: each rule's text, and whether it is understood as the table's is.
"""

import json
import sys

import yaml
from oslo_policy import generator, policy


def registered(rule):
    old, removal = rule["old"], rule["removal"]
    more = {}
    if old:
        more["deprecated_rule"] = policy.DeprecatedRule(
            old[0], old[1], deprecated_reason=old[2], deprecated_since=old[3]
        )
    if removal:
        more.update(
            deprecated_for_removal=True, deprecated_reason=removal[0], deprecated_since=removal[1]
        )
    if rule["scopes"]:
        more["scope_types"] = rule["scopes"]
    if not rule["operations"]:
        return policy.RuleDefault(rule["name"], rule["check"], description=rule["description"], **more)
    operations = [{"method": method, "path": path} for method, path in rule["operations"]]
    return policy.DocumentedRuleDefault(
        rule["name"], rule["check"], rule["description"], operations, **more
    )


asked = json.load(sys.stdin)
rules = {rule["name"]: registered(rule) for rule in asked["rules"]}
sections = generator._sort_and_format_by_section({"ferrite": list(rules.values())})
read = {}
for name, text in yaml.safe_load(asked["written"]).items():
    is_same = policy.RuleDefault(name, text) == rules[name]
    read[name] = {"text": text, "is_same": is_same}
print(json.dumps({"sample": "".join(sections), "read": read}))
