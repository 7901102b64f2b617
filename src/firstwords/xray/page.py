"""The X-ray as a page of its own: one file with everything in it, to keep or to pass on.

Scripts and styles are those of the web page at /xray. The modules are put behind one another, so
their names must differ; the document stands beside them as data. A policy names the script and the
style by their hashes: nothing else on the page can run, and nothing is fetched.
"""

import base64
import hashlib
import json
import re
from importlib import resources
from typing import Any

STYLES = ("base.css", "xray/xray.css")
PARTS = ("look", "strip", "views", "attention", "next", "show")
MODULES = ("view.js", *(f"xray/{part}.js" for part in PARTS))
START = """
const seen = JSON.parse(document.getElementById("seen").textContent);
show(seen, document.getElementById("xray"));
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src '{script_hash}'; style-src '{style_hash}'">
<title>X-ray · Firstwords</title>
<style>{style}</style>
</head>
<body>
<header><h1>Firstwords X-ray</h1></header>
<main><div id="xray"></div><noscript>This page needs JavaScript.</noscript></main>
<script type="application/json" id="seen">{seen}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def render(seen: dict[str, Any]) -> str:
    """The page of a document."""
    script = joined(MODULES) + START
    style = "".join(map(_read, STYLES))
    return PAGE.format(
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        seen=as_data(seen),
    )


def as_data(seen: dict[str, Any]) -> str:
    """JSON in which no text can end the element that it stands in."""
    text = json.dumps(seen, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def joined(modules: tuple[str, ...]) -> str:
    """One script of several modules, in an order in which each finds what it imports."""
    return "".join(map(_without_imports, map(_read, modules)))


def _without_imports(module: str) -> str:
    alone = re.sub(r"^import [^;]*;\n", "", module, flags=re.MULTILINE)
    return re.sub(r"^export ", "", alone, flags=re.MULTILINE)


def _read(name: str) -> str:
    return (resources.files("firstwords.serve") / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
