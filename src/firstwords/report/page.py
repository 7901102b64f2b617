"""One HTML file with nothing outside it: Markdown rendered, plots inside, styles for light, dark
and print."""

import html
import re
from importlib import resources

from markdown_it import MarkdownIt


def section(title: str, text: str, plots: tuple[tuple[str, str], ...], first: bool) -> str:
    level = 1 if first else 2
    heading = f'<h{level} id="{anchor(title)}">{html.escape(title)}</h{level}>'
    return "\n".join([heading, rendered(text), *(figure(*plot) for plot in plots)])


def rendered(text: str) -> str:
    """Of HTML only the tags that fold something away come through; the rest is shown as text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    pieces = re.split(r"^(<details>|</details>|<summary>[^<]*</summary>)$", text, flags=re.M)
    shown = [piece if number % 2 else markdown.render(piece) for number, piece in enumerate(pieces)]
    tables = "".join(shown).replace("<table>", '<div class="table" tabindex="0"><table>')
    return tables.replace("</table>", "</table></div>")


def figure(words: str, svg: str) -> str:
    caption = f"<figcaption>{html.escape(words)}</figcaption>" if words else ""
    label = html.escape(words or "plot", quote=True)
    return f'<figure><div role="img" aria-label="{label}">{svg}</div>{caption}</figure>'


def document(title: str, sections: list[str], body: list[str]) -> str:
    style = (resources.files("firstwords.report") / "style.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{anchor(s)}">{html.escape(s)}</a></li>' for s in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n'
        + "\n".join(f"<section>\n{part}\n</section>" for part in body)
        + "\n</main>\n</body>\n</html>\n"
    )


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
