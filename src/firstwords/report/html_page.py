"""One self-contained HTML file: rendered Markdown, inline plots, styles for screen and print.

The Content-Security-Policy allows only this script and this style, by their hashes: nothing else
can run, and nothing is fetched. Without the script, everything is still there to read.
"""

import html
import re
from importlib import resources

from markdown_it import MarkdownIt
from markdown_it.token import Token

from firstwords.common.single_file import csp_hash

STYLES = ("shared/base.css", "shared/report.css", "shared/report_print.css")
SCRIPTS = ("shared/report.js",)
NUMBER = re.compile(r"-?\d[\d,.:e+-]*( ?(%|M|bytes|kB|MB|GB))?( \([^)]*\))?( at chance)?")
ROLES = {  # tables that are cards on a phone lose their own
    "table_open": "table",
    "thead_open": "rowgroup",
    "tbody_open": "rowgroup",
    "tr_open": "row",
    "th_open": "columnheader",
    "td_open": "cell",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src '{script_hash}'; style-src '{style_hash}'">
<title>{title}</title>
<style>{style}</style>
<script type="module">{script}</script>
</head>
<body class="report">
<main>
{first}
<div class="columns">
<nav aria-label="Contents"><ul>{links}</ul></nav>
<div>
{sections}
</div>
</div>
</main>
</body>
</html>
"""


def render_page(title: str, first: str, sections: list[tuple[str, str]]) -> str:
    """Return the whole page: the first screen, then contents and the sections (title, HTML)."""
    style, script = (_read_static(names) for names in (STYLES, SCRIPTS))
    return PAGE.format(
        title=html.escape(title),
        style=style,
        script=script,
        style_hash=csp_hash(style),
        script_hash=csp_hash(script),
        first=first,
        links="".join(
            f'<li><a href="#{anchor(name)}">{html.escape(name)}</a></li>' for name, _ in sections
        ),
        sections="\n".join(f"<section>\n{body}\n</section>" for _, body in sections),
    )


def render_section(title: str, body: str, plots: tuple[tuple[str, str], ...]) -> str:
    """Return a section as HTML: heading, body, then the plots as (caption, SVG)."""
    heading = f'<h2 id="{anchor(title)}">{html.escape(title)}</h2>'
    return "\n".join([heading, body, *(render_figure(*plot) for plot in plots)])


def render_markdown(text: str) -> str:
    """Return Markdown as HTML. HTML in it is shown as text, except the tags of folded sections."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def render(piece: str) -> str:
        tokens = markdown.parse(piece)
        _prepare_tables(tokens)
        rendered: str = markdown.renderer.render(tokens, markdown.options, {})
        return rendered

    pieces = re.split(r"^(<details>|</details>|<summary>[^<]*</summary>)$", text, flags=re.M)
    page = "".join(piece if i % 2 else render(piece) for i, piece in enumerate(pieces))
    group = '<div class="table" role="group" aria-label="Table" tabindex="0">'
    return page.replace("<table", f"{group}<table").replace("</table>", "</table></div>")


def _prepare_tables(tokens: list[Token]) -> None:
    """Mark cells with numbers, name each cell's column for the cards of a phone, and make the first
    cell of a row its header."""
    starts = [i for i, token in enumerate(tokens) if token.type == "table_open"]
    ends = [i for i, token in enumerate(tokens) if token.type == "table_close"]
    for start, end in zip(starts, ends, strict=True):
        table = tokens[start:end]
        _prepare_cells(table)
        for token in table:
            if role := ROLES.get(token.type):
                token.attrs.setdefault("role", role)


def _prepare_cells(table: list[Token]) -> None:
    cells = [i for i, token in enumerate(table) if token.type in ("th_open", "td_open")]
    n_columns = sum(table[i].type == "th_open" for i in cells)
    texts = [table[i + 1].content.replace("**", "").replace("`", "") for i in cells]
    for column in range(n_columns):
        values = [text for text in texts[column + n_columns :: n_columns] if text]
        is_numeric = bool(values) and all(NUMBER.fullmatch(text) for text in values)
        for row, index in enumerate(cells[column::n_columns]):
            if column and is_numeric:
                table[index].attrs["class"] = "number"
            if row and column:
                table[index].attrs["data-label"] = texts[column]
            elif row:
                table[index].tag = table[index + 2].tag = "th"
                table[index].attrs.update(scope="row", role="rowheader")


def render_figure(caption: str, svg: str) -> str:
    """Return a plot with its caption, which is also its description for screen readers."""
    label = html.escape(caption, quote=True)
    return (
        f'<figure><div class="plot" role="img" aria-label="{label}" tabindex="0">{svg}</div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def anchor(title: str) -> str:
    """Return the id of the section with this title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _read_static(names: tuple[str, ...]) -> str:
    static = resources.files("firstwords.serve") / "static"
    return "".join((static / name).read_text(encoding="utf-8") for name in names)
