"""What IPA's functional tests start: here another program, told by the environment what they tell IPA."""

import collections
import os

from oslo_config import cfg

Host = collections.namedtuple("Host", ["hostname", "port"])


class IronicPythonAgent:
    """Becomes the program that JUDGED_AGENT names."""

    def __init__(self, advertise_address, listen_address, standalone, **options):
        self.arguments = ["agent", "--standalone"] if standalone else ["agent"]
        options["advertise_host"], options["advertise_port"] = advertise_address
        options["listen_host"], options["listen_port"] = listen_address
        # What the tests set in IPA's configuration.
        for name in ("listen_tls", "tls_cert_file", "tls_key_file", "tls_min_version"):
            options[name] = cfg.CONF[name]
        self.options = {name: value for name, value in options.items() if value is not None}

    def run(self):
        environment = {f"OS_DEFAULT__{name.upper()}": str(value) for name, value in self.options.items()}
        program = os.environ["JUDGED_AGENT"]
        os.execve(program, [program, *self.arguments], environment)
