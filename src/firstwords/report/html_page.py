"""One self-contained HTML file: rendered Markdown, inline plots, styles for screen and print."""

import html
import re
from importlib import resources

from markdown_it import MarkdownIt


def render_section(
    title: str, text: str, plots: tuple[tuple[str, str], ...], is_first: bool
) -> str:
    """Return a section as HTML: heading, text, then the plots as (caption, SVG). The first section
    has the page's title."""
    level = 1 if is_first else 2
    heading = f'<h{level} id="{anchor(title)}">{html.escape(title)}</h{level}>'
    return "\n".join([heading, render_markdown(text), *(render_figure(*plot) for plot in plots)])


def render_markdown(text: str) -> str:
    """Return Markdown as HTML. HTML in it is shown as text, except the tags of folded sections."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    pieces = re.split(r"^(<details>|</details>|<summary>[^<]*</summary>)$", text, flags=re.M)
    rendered = [piece if i % 2 else markdown.render(piece) for i, piece in enumerate(pieces)]
    page = "".join(rendered).replace("<table>", '<div class="table" tabindex="0"><table>')
    return page.replace("</table>", "</table></div>")


def render_figure(caption: str, svg: str) -> str:
    """Return a plot with its caption, which is also its description for screen readers."""
    figcaption = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    label = html.escape(caption or "plot", quote=True)
    return f'<figure><div role="img" aria-label="{label}">{svg}</div>{figcaption}</figure>'


def render_page(title: str, section_titles: list[str], sections: list[str]) -> str:
    """Return the whole page, with a table of contents."""
    style = (resources.files("firstwords.report") / "style.css").read_text(encoding="utf-8")
    links = "".join(
        f'<li><a href="#{anchor(name)}">{html.escape(name)}</a></li>' for name in section_titles
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n'
        + "\n".join(f"<section>\n{section}\n</section>" for section in sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def anchor(title: str) -> str:
    """Return the id of the section with this title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
