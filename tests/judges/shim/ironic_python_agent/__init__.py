"""Stands before the real package on Python's path, and has all of it but `agent`, which is the module beside this file."""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
