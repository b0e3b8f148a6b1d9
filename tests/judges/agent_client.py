"""Drives an agent with Ironic's own AgentClient, unmodified, and tells what came of each check.

Runs in Ironic's environment. Standard input: what a conductor knows of the agent, and the parts to drive, as one JSON object
(`url`, `token`, `certificate` (a file), `other_certificate`, `parts`). Standard output: a line a check, `{"check": ..., "outcome":
...}`, where the outcome is "pass", or the error and what it said; at last a line with the client's methods, and which of them were
called. Exit code 0 when all checks ran, however they went.
"""

import base64
import io
import json
import re
import sys
import tarfile

from ironic.conf import CONF

# Both are read when the client's module is loaded; the usual pauses are for machines.
CONF.set_override("command_wait_interval", 1, "agent")
CONF.set_override("post_deploy_get_power_state_retry_interval", 1, "agent")
CONF.set_override("post_deploy_get_power_state_retries", 3, "agent")

from ironic.common import exception  # noqa: E402
from ironic.drivers.modules import agent_client  # noqa: E402

from servers import Proxy, Tarpit, free_port, within  # noqa: E402

PHASES = ("clean", "deploy", "service")
UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
HASH = "$6$salt$cdZY05xCTpX8iT4jBTBzIbsP33eCz1y8I6qzDmBL7wkcWJLbJ8rsdEa1ppYbdyCBm2TQpaJXgLvLXWFJVvIzR1"


class Node:
    """As much of a node as the client looks at."""

    def __init__(self, url, token, certificate):
        self.uuid = UUID
        self.driver_info = {}
        self.instance_info = {"hashed_rescue_password": HASH}
        self.driver_internal_info = {"agent_url": url, "agent_secret_token": token, "agent_verify_ca": certificate}

    def as_dict(self, secure=False, mask_configdrive=True):
        internal = dict(self.driver_internal_info, agent_secret_token="******")
        return {"uuid": self.uuid, "driver_info": {}, "driver_internal_info": internal, "instance_info": {}, "properties": {}}


class Port:
    def as_dict(self):
        return {"uuid": "d1a3a9c5-53c5-4b1c-8f4b-6d5a8a6ff5ab", "address": "52:54:00:00:00:01", "extra": {}}


class Recorded(agent_client.AgentClient):
    """The client itself; it only remembers which of its methods were called."""

    called = set()

    def __getattribute__(self, name):
        if not name.startswith("_") and callable(getattr(agent_client.AgentClient, name, None)):
            Recorded.called.add(name)
        return super().__getattribute__(name)


class Wrong(Exception):
    """What a check says when it fails."""


facts = json.load(sys.stdin)
node = Node(facts["url"], facts["token"], facts["certificate"])
client = Recorded()
checks = {"commands": [], "parameters": [], "refusals": [], "work": []}


def check(part, name):
    def add(function):
        checks[part].append((name, function))
        return function
    return add


def equal(got, wanted):
    if got != wanted:
        raise Wrong(f"{got!r}, not {wanted!r}")


def matches(text, pattern):
    if not re.fullmatch(pattern, text, re.DOTALL):
        raise Wrong(f"{text!r}, not {pattern!r}")


def fails(error, pattern, call, *arguments, **options):
    """The call raises this very error with such a text."""
    try:
        result = call(*arguments, **options)
    except error as raised:
        if type(raised) is not error:
            raise
        matches(str(raised), pattern)
        return
    raise Wrong(f"no {error.__name__}: {result!r}")


def succeeded(record, command):
    equal((record["command_name"], record["command_status"], record["command_error"]), (command, "SUCCEEDED", None))
    return record["command_result"]


def running(record, command):
    equal((record["command_name"], record["command_status"], record["command_error"]), (command, "RUNNING", None))


def ended(command):
    """The last record of an asynchronous command, when it is not running any more."""
    def over():
        record = client.get_last_command_status(node, command)
        return record if record["command_status"] != "RUNNING" else None
    return within(command, over)


def failed(record, kind, pattern):
    equal((record["command_status"], record["command_result"]), ("FAILED", None))
    equal(record["command_error"]["type"], kind)
    matches(agent_client.get_command_error(record), pattern)


def statuses():
    return [(record["command_name"], record["command_status"]) for record in client.get_commands_status(node)]


def execute(phase, step, target=node):
    return getattr(client, f"execute_{phase}_step")(step, target, [Port()])


def write_image(url):
    image = {"id": "x", "urls": [url], "disk_format": "qcow2", "image_type": "whole-disk",
             "os_hash_algo": "sha256", "os_hash_value": "0" * 64}
    return {"step": "write_image", "interface": "deploy", "priority": 80,
            "args": {"image_info": image, "configdrive": url}}


def stranger(token):
    return Node(facts["url"], token, facts["certificate"])


# --- Part "commands": what a conductor asks of any agent.


@check("commands", "get_commands_status: an empty list at first")
def _():
    equal(client.get_commands_status(node), [])


@check("commands", "get_last_command_status: nothing of a command that never ran")
def _():
    equal(client.get_last_command_status(node, "clean.execute_clean_step"), None)


for kind, token in (("a wrong token", "x" * 43), ("no token", None)):
    @check("commands", f"{kind} reads no list")
    def _(token=token):
        fails(KeyError, "'commands'", client.get_commands_status, stranger(token))

    @check("commands", f"{kind} commands nothing")
    def _(token=token):
        fails(exception.AgentAPIError, r".*\b401\b.*", client.sync, stranger(token))


@check("commands", "a refused token leaves no record")
def _():
    equal(client.get_commands_status(node), [])


@check("commands", "another certificate is not trusted")
def _():
    other = Node(facts["url"], facts["token"], facts["other_certificate"])
    # A client of its own: Ironic's remembers the certificates it has trusted.
    fails(exception.AgentConnectionFailed, r".*certificate verify failed.*", Recorded().sync, other)


@check("commands", "nobody at the address is told as such")
def _():
    nowhere = Node(f"https://127.0.0.1:{free_port()}", facts["token"], facts["certificate"])
    fails(exception.AgentConnectionFailed, r".*Connection refused.*", client.sync, nowhere)
    fails(exception.AgentConnectionFailed, r".*Connection refused.*", client.get_commands_status, nowhere)
    fails(exception.AgentConnectionFailed, r".*Connection refused.*", client.lockdown, nowhere)
    equal(client.lockdown(nowhere, fail_if_unavailable=False), None)


for phase in PHASES:
    @check("commands", f"get_{phase}_steps: steps by manager, and the managers' versions")
    def _(phase=phase):
        result = succeeded(getattr(client, f"get_{phase}_steps")(node, [Port()]), f"get_{phase}_steps")
        equal(set(result), {f"{phase}_steps", "hardware_manager_version"})
        equal(result["hardware_manager_version"]["generic_hardware_manager"], "1.2")
        steps = result[f"{phase}_steps"]["GenericHardwareManager"]
        for step in steps:
            equal({"step", "priority", "interface"} - set(step), set())
        equal(bool(steps), True)
        # As the conductor stores it, and sends it back with every step from now on.
        node.driver_internal_info["hardware_manager_version"] = result["hardware_manager_version"]

    @check("commands", f"execute_{phase}_step: an unknown step fails alone")
    def _(phase=phase):
        execute(phase, {"step": "sing", "interface": "deploy"})
        failed(ended(f"execute_{phase}_step"), "HardwareManagerMethodNotFound", "Could not find method: sing")

    @check("commands", f"execute_{phase}_step: other versions of the managers are a mismatch")
    def _(phase=phase):
        other = stranger(facts["token"])
        other.driver_internal_info["hardware_manager_version"] = {"generic_hardware_manager": "0"}
        execute(phase, {"step": "erase_devices_metadata", "interface": "deploy"}, other)
        record = ended(f"execute_{phase}_step")
        equal(record["command_status"], "CLEAN_VERSION_MISMATCH")
        equal((record["command_error"]["type"], record["command_error"]["code"]), ("VersionMismatch", 409))

    @check("commands", f"execute_{phase}_step: a step without a name is malformed")
    def _(phase=phase):
        execute(phase, {"interface": "deploy"})
        record = ended(f"execute_{phase}_step")
        equal(record["command_status"], "FAILED")
        matches(agent_client.get_command_error(record), rf'Malformed {phase}_step, no "step" key: .*')


@check("commands", "get_partition_uuids: nothing before an image")
def _():
    equal(succeeded(client.get_partition_uuids(node), "get_partition_uuids"), {})


@check("commands", "sync: done when it answers")
def _():
    equal(succeeded(client.sync(node), "sync"), None)


@check("commands", "collect_system_logs: an archive that opens")
def _():
    result = succeeded(client.collect_system_logs(node), "collect_system_logs")
    archive = base64.b64decode(result["system_logs"], validate=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as logs:
        equal(bool([member for member in logs if member.size]), True)


@check("commands", "unknown extensions and commands are refused and leave no record")
def _():
    before = statuses()
    for command, status, text in (
        ("iscsi.start_iscsi_target", 404, "Extension with id iscsi not found"),
        ("standby.cache_image", 400, "Unknown command: cache_image"),
        ("sync", 400, "Command name must be of the form <extension>.<name>"),
    ):
        fails(exception.AgentAPIError, rf".*\b{status}\b.*{text}.*", client._command, node, command, {})
    equal(statuses(), before)


@check("commands", "prepare_image: a broken image_info is refused and leaves no record")
def _():
    before = statuses()
    broken = {"image_info": {"id": "x", "urls": ["http://192.0.2.1/x"]}}
    fails(exception.AgentAPIError, r".*\b400\b.*Invalid command parameters.*", client._command, node,
          "standby.prepare_image", broken)
    equal(statuses(), before)


@check("commands", "a record is found by its name, the newest first")
def _():
    equal(client.get_last_command_status(node, "clean.execute_clean_step")["command_name"], "execute_clean_step")


# --- Part "parameters": broken ones.


for phase in PHASES:
    @check("parameters", f"get_{phase}_steps: a node without a name fails the command alone")
    def _(phase=phase):
        nameless = stranger(facts["token"])
        nameless.as_dict = lambda **_: {"properties": {}}
        record = getattr(client, f"get_{phase}_steps")(nameless, [Port()])
        equal(record.get("command_status"), "FAILED")


@check("parameters", "an unknown parameter is an error of its command")
def _():
    record = client._command(node, "standby.sync", {"colour": "red"}, wait=True)
    failed(record, "InvalidCommandParamsError", r".*colour.*")


@check("parameters", "the list can be read after an unknown parameter")
def _():
    equal(statuses()[-1], ("sync", "FAILED"))


@check("parameters", "the next command runs after an unknown parameter")
def _():
    succeeded(client.sync(node), "sync")
    equal(client.get_last_command_status(node, "standby.sync")["command_status"], "SUCCEEDED")


# --- Part "refusals": an agent on a machine that was not booted for it, which changes nothing there.

REFUSED = r"refused: this machine was not booted into a ramdisk .*--allow-installed-system"


for phase in ("clean", "deploy"):
    @check("refusals", f"execute_{phase}_step: erasing is refused")
    def _(phase=phase):
        execute(phase, {"step": "erase_devices_metadata", "interface": "deploy"})
        failed(ended(f"execute_{phase}_step"), "CommandExecutionError", REFUSED)


@check("refusals", "execute_deploy_step: writing is refused")
def _():
    execute("deploy", write_image("http://127.0.0.1:1/x"))
    failed(ended("execute_deploy_step"), "CommandExecutionError", REFUSED)


@check("refusals", "install_bootloader: refused")
def _():
    record = client.install_bootloader(node, UUID, "uefi", efi_system_part_uuid=UUID)
    failed(record, "CommandExecutionError", REFUSED)


@check("refusals", "power_off: refused")
def _():
    client.power_off(node)
    failed(ended("power_off"), "CommandExecutionError", REFUSED)


@check("refusals", "reboot: refused")
def _():
    client.reboot(node)
    failed(ended("run_image"), "CommandExecutionError", REFUSED)


@check("refusals", "finalize_rescue: refused")
def _():
    failed(client.finalize_rescue(node), "CommandExecutionError", REFUSED)


@check("refusals", "lockdown: refused")
def _():
    fails(exception.AgentCommandTimeout, r".*system\.lockdown.*", client.lockdown, node)
    failed(client.get_last_command_status(node, "system.lockdown"), "CommandExecutionError", REFUSED)


# --- Part "work": an agent that may work. It is nobody's process all the same, and comes no further than the image server.


@check("work", "a command that runs is busy for every other, and its list is read meanwhile")
def _():
    with Tarpit() as tarpit:
        first = execute("deploy", write_image(tarpit.url))
        running(first, "execute_deploy_step")
        tarpit.until_asked()
        for call in (
            lambda: client.sync(node),
            lambda: client.get_clean_steps(node, [Port()]),
            lambda: client.collect_system_logs(node),
            lambda: client.power_off(node),
            lambda: execute("deploy", write_image(tarpit.url)),
        ):
            fails(exception.AgentInProgress, r".*[Bb]usy.*execute_deploy_step.*", call)
        equal(statuses(), [("execute_deploy_step", "RUNNING")])
    equal(ended("execute_deploy_step")["command_status"], "FAILED")


@check("work", "after its end the next command runs")
def _():
    succeeded(client.sync(node), "sync")


@check("work", "a connection lost after POST: the running command is found, and not sent again")
def _():
    with Tarpit() as tarpit, Proxy(facts["url"]) as proxy:
        through = Node(proxy.url, facts["token"], facts["certificate"])
        before = len(client.get_commands_status(through))
        proxy.lose_the_next_answer()
        record = execute("deploy", write_image(tarpit.url), through)
        running(record, "execute_deploy_step")
        equal(proxy.lost, 1)
        equal(len(client.get_commands_status(through)), before + 1)
    ended("execute_deploy_step")


@check("work", "a connection lost after POST: what is over already is sent again")
def _():
    with Proxy(facts["url"]) as proxy:
        through = Node(proxy.url, facts["token"], facts["certificate"])
        before = len(client.get_commands_status(through))
        proxy.lose_the_next_answer()
        succeeded(client.sync(through), "sync")
        equal(proxy.lost, 1)
        equal(statuses()[before:], [("sync", "SUCCEEDED")] * 2)


@check("work", "lockdown: the agent is gone for its conductor")
def _():
    equal(client.lockdown(node), None)
    fails(exception.AgentConnectionFailed, r".*Connection refused.*", client.get_commands_status, node)
    equal(client.lockdown(node, fail_if_unavailable=False), None)


def main():
    CONF([], project="ironic", default_config_files=[])
    for name, function in (check for part in facts["parts"] for check in checks[part]):
        try:
            function()
            outcome = "pass"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        print(json.dumps({"check": name, "outcome": outcome}), flush=True)
    public = {name for name in dir(agent_client.AgentClient) if not name.startswith("_")}
    print(json.dumps({"called": sorted(Recorded.called), "public": sorted(public)}), flush=True)


main()
