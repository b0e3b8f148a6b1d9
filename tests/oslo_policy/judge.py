"""The real oslo.policy, asked in its public way.

`judge.py answer`: standard input has a question a line, {"rules", "default_rule", "rule", "credentials", "target"}; standard output
has {"allowed": true} or {"allowed": false} for each. Whatever the library raises is "not allowed".

`judge.py files`: the same of {"defaults", "file", "directory", "enforce_new_defaults", "default_rule", "rule", "credentials",
"target"}, with an enforcer for each that registers the defaults and reads the files.

`judge.py hasten` is the same, but what `inspect` tells of the library's six kinds of checks, which takes most of the time, is
remembered.

`judge.py make`: standard input has {"format", "target", "spoil"} or {"kind", "spoil"} a line, of what Python's `%` and
`ast.literal_eval` are asked alone; standard output has a question for each whose answer must be true, or, where it is spoilt,
false.
"""

import ast
import gc
import inspect
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


def question(check, credentials, target):
    return {
        "rules": {"check": [[check]]},
        "default_rule": None,
        "rule": "check",
        "credentials": credentials,
        "target": target,
    }


def of_format(text, target, more):
    try:
        value = text % target
    except Exception:
        value = ""
    return question("value:" + text, {"value": value + more}, target)


def of_kind(kind, more):
    try:
        value = str(ast.literal_eval(kind))
        return question(kind + ":%(value)s", {}, {"value": value + more})
    except Exception:
        pass
    credentials = "x" + more
    for name in reversed(kind.split(".")):
        credentials = {name: credentials}
    return question(kind + ":x", credentials, {})


def make(wanted):
    more = "!" if wanted["spoil"] else ""
    if "kind" in wanted:
        return of_kind(wanted["kind"], more)
    return of_format(wanted["format"], wanted["target"], more)


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


def remembered(of_function):
    known = {}

    def of_method(method):
        function = method.__func__
        if function not in known:
            known[function] = of_function(method)
        return known[function]

    return of_method


def main(mode):
    judge = enforcer()
    if mode == "hasten":
        inspect.getfullargspec = remembered(inspect.getfullargspec)
    write = sys.stdout.write
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if mode == "make":
            write(json.dumps(make(asked)) + "\n")
            continue
        allowed = answer_of_files(asked) if mode == "files" else answer(judge, asked)
        write('{"allowed": true}\n' if allowed else '{"allowed": false}\n')


main(sys.argv[1])
