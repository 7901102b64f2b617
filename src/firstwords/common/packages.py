"""How to add a Python package that only some commands need."""

import shlex
import sys
from importlib.util import find_spec


def install_command(requirement: str) -> str:
    """Return the shell command that adds a package to the environment of this process, which need
    not be active. An environment that uv created has no pip."""
    pip = [sys.executable, "-m", "pip", "install"]
    if find_spec("pip") is None:
        pip = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*pip, requirement])
