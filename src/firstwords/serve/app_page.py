"""A page that the server renders, with the head and the bar of the static pages."""

import html
from collections.abc import Sequence

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="#1f5f4a">
<title>{title} · Firstwords</title>
<link rel="icon" href="{root}shared/icon.svg" type="image/svg+xml">
<link rel="manifest" href="{root}manifest.webmanifest">
{styles}
<script src="{root}shared/theme.js"></script>
{scripts}
</head>
<body class="{name}">
<app-bar page="{name}"></app-bar>
{body}
</body>
</html>
"""


def render_app_page(
    name: str, title: str, body: str, styles: Sequence[str], scripts: Sequence[str], root: str
) -> str:
    """Return a page. `name` is that of the page in the bar and of the body's class, `root` the
    relative address of the static files, and `styles` and `scripts` are addresses within it."""
    sheets = ("shared/base.css", "shared/app_bar.css", *styles)
    modules = ("shared/app_bar.js", *scripts)
    return PAGE.format(
        name=name,
        title=html.escape(title),
        root=root,
        styles="\n".join(f'<link rel="stylesheet" href="{root}{path}">' for path in sheets),
        scripts="\n".join(
            f'<script type="module" src="{root}{path}"></script>' for path in modules
        ),
        body=body,
    )
