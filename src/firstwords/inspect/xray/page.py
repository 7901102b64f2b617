"""Render an X-ray as one self-contained HTML file.

Scripts and styles are those of the web page at /xray. The modules are concatenated, so the names
they declare must differ; the document is embedded as data. The Content-Security-Policy allows only
this script and this style, by their hashes: nothing else can run, and nothing is fetched.
"""

import base64
import hashlib
import json
import re
from importlib import resources
from typing import Any

STYLES = ("shared/base.css", "xray/xray.css")
PARTS = (
    *("state", "stages", "follow", "token_strip", "views", "attention_map", "close_up"),
    *("attention", "lens", "next_token", "text_view", "model_picture", "contents", "render"),
)
MODULES = ("shared/dom.js", *(f"xray/{part}.js" for part in PARTS))
START = """
const data = JSON.parse(document.getElementById("data").textContent);
renderXray(data, document.getElementById("xray"));
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
<script type="application/json" id="data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def render_page(document: dict[str, Any]) -> str:
    """Return the page of an X-ray's document."""
    script = join_modules(MODULES) + START
    style = "".join(map(_read_static, STYLES))
    return PAGE.format(
        script=script,
        style=style,
        script_hash=_csp_hash(script),
        style_hash=_csp_hash(style),
        data=_embeddable_json(document),
    )


def _embeddable_json(document: dict[str, Any]) -> str:
    """Return JSON in which no text can end the script element around it."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def join_modules(modules: tuple[str, ...]) -> str:
    """Return several modules as one script, in an order in which each finds what it imports."""
    return "".join(_strip_module_syntax(_read_static(module)) for module in modules)


def _strip_module_syntax(module: str) -> str:
    without_imports = re.sub(r"^import [^;]*;\n", "", module, flags=re.MULTILINE)
    return re.sub(r"^export ", "", without_imports, flags=re.MULTILINE)


def _read_static(name: str) -> str:
    return (resources.files("firstwords.serve") / "static" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
