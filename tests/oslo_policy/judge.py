"""The real oslo.policy, asked in its public way.

`judge.py answer`: standard input has a question a line, {"rules", "default_rule", "rule", "credentials", "target"}; standard output
has {"allowed": true} or {"allowed": false} for each. Whatever the library raises is "not allowed".

`judge.py files`: the same of {"defaults", "file", "directory", "enforce_new_defaults", "default_rule", "rule", "credentials",
"target"}, with an enforcer for each that registers the defaults and reads the files.

`judge.py make`: standard input has {"format", "target"} or {"kind"} a line, of what Python's `%` and `ast.literal_eval` are asked
alone; standard output has a question for each whose answer must be true, or, where Python raises an exception, false.
"""

import ast
import gc
import json
import logging
import sys
import warnings

from oslo_config import cfg
from oslo_policy import policy

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
# What is made for a question goes with it.
gc.freeze()
gc.set_threshold(50_000)


def enforcer():
    conf = cfg.ConfigOpts()
    conf([], project="ferrite", default_config_files=[], default_config_dirs=[])
    return policy.Enforcer(conf, use_conf=False)


def answer(judge, question):
    try:
        judge.default_rule = question["default_rule"]
        rules = policy.Rules.from_dict(question["rules"], question["default_rule"])
        judge.set_rules(rules)
        return bool(judge.enforce(question["rule"], question["target"], question["credentials"]))
    except Exception:
        return False


def question(check, credentials, target, is_negated):
    rules = {"check": [[check]], "not": "not rule:check"}
    return {
        "rules": rules,
        "default_rule": None,
        "rule": "not" if is_negated else "check",
        "credentials": credentials,
        "target": target,
    }


def is_sayable(value):
    """Half a surrogate pair is no part of a JSON text."""
    return value is not None and not any("\ud800" <= letter <= "\udfff" for letter in value)


def of_format(text, target):
    try:
        value = text % target
    except Exception:
        value = None
    if not is_sayable(value):
        return question("value:" + text, {"value": ""}, target, True)
    return question("value:" + text, {"value": value}, target, False)


def of_kind(kind):
    try:
        value = str(ast.literal_eval(kind))
        if is_sayable(value):
            return question(kind + ":" + value.replace("%", "%%"), {}, {}, False)
        return question(kind + ":x", {}, {}, True)
    except ValueError:
        pass
    except Exception:
        return question(kind + ":x", {}, {}, True)
    credentials = "x"
    for name in reversed(kind.split(".")):
        credentials = {name: credentials}
    return question(kind + ":x", credentials, {}, False)


def make(wanted):
    if "kind" in wanted:
        return of_kind(wanted["kind"])
    return of_format(wanted["format"], wanted["target"])


def answer_of_files(case):
    conf = cfg.ConfigOpts()
    conf([], project="ferrite", default_config_files=[], default_config_dirs=[])
    judge = policy.Enforcer(conf, policy_file=case["file"], default_rule=case["default_rule"])
    conf.set_override("policy_dirs", [case["directory"]], group="oslo_policy")
    conf.set_override("enforce_new_defaults", case["enforce_new_defaults"], group="oslo_policy")
    for default in case["defaults"]:
        old = default["old"] and policy.DeprecatedRule(
            default["old"]["name"], default["old"]["check"], deprecated_reason="r", deprecated_since="s"
        )
        judge.register_default(
            policy.RuleDefault(
                default["name"], default["check"], deprecated_rule=old, scope_types=default["scopes"] or None
            )
        )
    try:
        return bool(judge.enforce(case["rule"], case["target"], case["credentials"]))
    except Exception:
        return False


def main(mode):
    judge = enforcer()
    write = sys.stdout.write
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if mode == "make":
            write(json.dumps(make(asked)) + "\n")
            continue
        allowed = answer_of_files(asked) if mode == "files" else answer(judge, asked)
        write('{"allowed": true}\n' if allowed else '{"allowed": false}\n')


main(sys.argv[1])
