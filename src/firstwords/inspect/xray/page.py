"""Render an X-ray as one self-contained HTML file.

Scripts and styles are those of the web page at /xray. The modules are concatenated, so the names
they declare must differ; the document is embedded as data. The Content-Security-Policy allows only
this script and this style, by their hashes: nothing else can run, and nothing is fetched.
"""

from importlib import resources
from typing import Any

from firstwords.common.single_file import csp_hash, embeddable_json, join_modules

STYLES = ("shared/base.css", "xray/xray.css", "xray/attention.css", "xray/tables.css")
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
    script = join_modules(map(_read_static, MODULES)) + START
    style = "".join(map(_read_static, STYLES))
    return PAGE.format(
        script=script,
        style=style,
        script_hash=csp_hash(script),
        style_hash=csp_hash(style),
        data=embeddable_json(document),
    )


def _read_static(name: str) -> str:
    return (resources.files("firstwords.serve") / "static" / name).read_text(encoding="utf-8")
