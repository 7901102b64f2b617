"""Parts of a page that is one file: joined scripts, embedded data, hashes for its policy.

A Content-Security-Policy with the hashes of the page's own script and style lets nothing else run,
and nothing be fetched.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any


def join_modules(modules: Iterable[str]) -> str:
    """Return the text of several JavaScript modules as one script.

    The modules are in an order in which each finds what it imports, and the names they declare
    differ.
    """
    return "".join(map(_strip_module_syntax, modules))


def _strip_module_syntax(module: str) -> str:
    without_imports = re.sub(r"^import [^;]*;\n", "", module, flags=re.MULTILINE)
    return re.sub(r"^export ", "", without_imports, flags=re.MULTILINE)


def embeddable_json(document: Any) -> str:
    """Return JSON in which no text can end the script element around it."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def csp_hash(text: str) -> str:
    """Return the hash of an inline script or style as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
