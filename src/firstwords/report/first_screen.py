"""The first screen of report.html: score, curve, answers, limits."""

import html

from firstwords.report.headline import Headline
from firstwords.report.html_page import render_figure
from firstwords.report.tool_calls import render_tool_calls


def render_first_screen(title: str, headline: Headline, curve: tuple[str, str]) -> str:
    """Return the first screen as HTML. `curve` is a plot as (caption, SVG)."""
    return "\n".join(
        [
            f'<section class="first"><h1>{html.escape(title)}</h1>',
            f"<p>{html.escape(headline.model)}</p>",
            '<div class="cards">',
            _card("score", headline.score_title, _render_score(headline)),
            _card("curve", "How it learned", render_figure(*curve)),
            _card("answers", "What it says", _render_answers(headline)),
            _card("limits", "What it cannot do", _render_list(headline.limits)),
            "</div>",
            '<p class="data">The figures as data: <a href="report.csv">report.csv</a>, '
            '<a href="report.json">report.json</a>.</p>',
            "</section>",
        ]
    )


def _card(kind: str, title: str, body: str) -> str:
    return f'<div class="card {kind}"><h2>{title}</h2>{body}</div>'


def _render_score(headline: Headline) -> str:
    facts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{_render_value(value)}</dd></div>"
        for name, value in headline.facts
    )
    return (
        f'<p class="big">{headline.score}</p><p>{html.escape(headline.score_means)}</p>'
        f"<dl>{facts}</dl>"
    )


def _render_value(value: str) -> str:
    """Return a fact as HTML; a value in backticks is code."""
    if value.startswith("`") and value.endswith("`"):
        return f"<code>{html.escape(value[1:-1])}</code>"
    return html.escape(value)


def _render_answers(headline: Headline) -> str:
    return (
        '<div class="chat">'
        + "".join(
            f'<p class="asked">{html.escape(answer.prompt)}</p>'
            f'<p class="answered">{render_tool_calls(answer.text) or "(empty)"}</p>'
            for answer in headline.answers
        )
        + "</div>"
    )


def _render_list(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"
