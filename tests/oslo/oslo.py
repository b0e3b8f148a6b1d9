"""Asks the real oslo.config, with IPA's own table of options, what each case comes to.

Standard input: a JSON list of {"folder", "kernel", "environment", "arguments"}; below the folder are `root` (the home) and
`etc`. Standard output: a JSON list of {"values": {"group.option": value}} or {"error": text}. Each case has a process of its
own, because IPA reads the kernel's arguments when its table is imported.
"""

import io
import json
import os
import sys
import traceback

from oslo_config import cfg
from oslo_log import log

# What the tables import is imported once, so that a case imports the tables alone.
import zeroconf  # noqa: F401
from ironic_python_agent import errors, netutils, utils  # noqa: F401
from ironic_python_agent.metrics_lib import metrics_utils  # noqa: F401


def words(text):
    """The law of `utils._read_params_from_file`, which wants a file."""
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


def values(case):
    utils.AGENT_PARAMS_CACHED = words(case["kernel"])
    netutils.get_wildcard_address = lambda: None
    os.environ.clear()
    os.environ.update(case["environment"])
    places = [os.path.join(case["folder"], place) for place in ("root", "etc")]
    cfg._get_config_dirs = lambda project=None: places
    sys.argv = ["ironic-python-agent"]

    from ironic_python_agent import config, mdns  # noqa: F401
    from oslo_utils import strutils

    conf = cfg.CONF
    log.register_options(conf)
    conf(args=case["arguments"])
    debug = config.APARAMS.get("ipa-debug")
    if debug is not None:
        conf.set_override("debug", strutils.bool_from_string(debug))
    found = {}
    for name, info in conf._opts.items():
        found["DEFAULT." + name] = read(conf, name)
    for group, of_group in conf._groups.items():
        for name in of_group._opts:
            found[group + "." + name] = read(conf[group], name)
    return found


def read(place, name):
    try:
        return {"value": getattr(place, name)}
    except Exception as error:
        return {"error": "%s: %s" % (type(error).__name__, error)}


def answer(case):
    noise = sys.stderr
    sys.stderr = io.StringIO()
    try:
        return {"values": values(case)}
    except (Exception, SystemExit, RecursionError) as error:
        return {"error": "%s: %s %s" % (type(error).__name__, error, sys.stderr.getvalue())}
    finally:
        sys.stderr = noise


def in_a_process(case):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            pipe.write(json.dumps(answer(case), default=str))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


json.dump([in_a_process(case) for case in json.load(sys.stdin)], sys.stdout)
