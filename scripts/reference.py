"""The pages that are made from the code itself: glossary, commands, recipe, files of a run."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from firstwords import checkpoint, recipe
from firstwords import run as runs
from firstwords.cli import cli
from firstwords.data import tokens
from firstwords.glossary import TERMS
from firstwords.report.markdown import table
from firstwords.training import Step

MADE = "<!-- made by python scripts/make_docs.py; change the code instead -->"


def page(title: str, *parts: str) -> str:
    return "\n\n".join([MADE, f"# {title}", *parts]) + "\n"


def cell(text: str) -> str:
    """Any text in one line."""
    return " ".join(text.split())


def glossary() -> str:
    """Every term, by its name."""
    terms = sorted(TERMS, key=lambda term: term.name.casefold())
    return page(
        "Glossary",
        "What the words in a plan, a report or a chat mean, and how to read their values.",
        *(f"**{term.name}**: {term.words}" for term in terms),
    )


# --- commands -------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its help, arguments and options, as `--help` shows them."""
    found = list(leaves(cli, "firstwords"))
    overview = [
        [f"[`{name}`](#{slug(name)})", cell(c.get_short_help_str(200))] for name, c in found
    ]
    return page(
        "Commands",
        "What every command does and takes. `firstwords COMMAND --help` says the same. Exit codes: "
        "0 done; 2 the input is wrong, with one line that says how to mend it; 130 interrupted, "
        "with the work saved; 1 anything else.",
        table(["command", "what it does"], overview),
        *(_command(name, command) for name, command in found),
    )


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """The commands that do something, in the order of the help."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for child in command.list_commands(click.Context(command)):
        yield from leaves(command.commands[child], f"{name} {child}")


def slug(title: str) -> str:
    """The anchor of a heading of plain words, on a forge as in the site."""
    return title.lower().replace(" ", "-")


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, **cli.context_settings)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    records = [p.get_help_record(context) for p in command.get_params(context)]
    # A pipe in code would stand with its backslash in one of the renderers.
    options = [
        [f"`{left.replace('|', '/')}`", cell(right)] for left, right in filter(None, records)
    ]
    text = inspect.cleandoc(command.help or "")
    return "\n\n".join(
        [f"## {name}", text, f"```text\n{usage}\n```", table(["option", "what it says"], options)]
    )


# --- documents that pydantic checks ---------------------------------------------------------------


class FieldRow(NamedTuple):
    name: str
    kind: str
    default: str
    meaning: str


def recipe_fields() -> str:
    models = (recipe.Recipe, recipe.StageConfig, recipe.ModelConfig, recipe.OptimizerConfig)
    return page(
        "Recipe fields",
        "Every hyper-parameter of a run. The plan writes them into the run's `run.json`, and "
        "`firstwords train --recipe FILE --run NAME` reads them from there or from a JSON or TOML "
        "file of your own. A field without a default must be given; one that is not known is an "
        "error that names it.",
        *(_model(model) for model in models),
    )


def _model(model: type[BaseModel]) -> str:
    rows = [[f"`{f.name}`", cell(f.kind), f.default, cell(f.meaning)] for f in fields(model)]
    return "\n\n".join(
        [
            f"## {model.__name__}",
            first_paragraph(model),
            table(["field", "type", "default", "meaning"], rows),
        ]
    )


def first_paragraph(documented: Any) -> str:
    return " ".join(inspect.cleandoc(documented.__doc__ or "").split("\n\n")[0].split())


def fields(model: type[BaseModel]) -> list[FieldRow]:
    """The model's fields; what each means is the comment behind it or above it."""
    meanings = comments(model)
    rows = []
    for name, field in model.model_fields.items():
        bounds = "".join(f", {text}" for text in map(_bound, field.metadata) if text)
        default = field.default
        shown = "" if default is PydanticUndefined else f"`{default}`"
        if isinstance(default, BaseModel):
            shown = f"[below](#{type(default).__name__.lower()})"
        rows.append(FieldRow(name, _kind(field.annotation) + bounds, shown, meanings[name]))
    return rows


def comments(kind: type) -> dict[str, str]:
    """The comment of every annotated field of a class: behind it, or in the lines above it."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        behind = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
        above, line = [], node.lineno - 2
        while lines[line].lstrip().startswith("#"):
            above.insert(0, lines[line].lstrip("# "))
            line -= 1
        text = behind.strip().lstrip("# ") or " ".join(above)
        found[node.target.id] = (text[:1].lower() + text[1:]).rstrip(".")
    return found


def _kind(annotation: Any) -> str:
    """A type in the reader's words."""
    text = getattr(annotation, "__name__", None) or str(annotation)
    if "Literal" in str(annotation):
        return " or ".join(f'`"{value}"`' for value in annotation.__args__)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{text}](#{text.lower()})"
    words = {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}
    return words.get(text, "object")


def _bound(constraint: Any) -> str:
    words = {
        "ge": "at least {}",
        "gt": "more than {}",
        "le": "at most {}",
        "lt": "less than {}",
        "multiple_of": "a multiple of {}",
    }
    for name, sentence in words.items():
        if hasattr(constraint, name):
            return sentence.format(f"{getattr(constraint, name):,}")
    return ""


# --- files of a run -------------------------------------------------------------------------------


def run_files() -> str:
    manifest = [[f"`{name}`", meaning] for name, meaning in comments(runs.Manifest).items()]
    step = [[f"`{name}`", meaning] for name, meaning in comments(Step).items()]
    return page(
        "Files of a run",
        "Everything that belongs to a run is in one directory, `runs/NAME` of `$FIRSTWORDS_HOME` "
        "(by default the platform's cache directory). Which phase is done is read off these files; "
        "there is no other state. Each appears whole or not at all, so a run can be copied, "
        "stopped or cut off at any moment.",
        listing(runs),
        "## run.json",
        table(["field", "what it says"], manifest),
        "The [recipe](recipe.md) has a page of its own.",
        "## metrics",
        f"A JSON object a line. {first_paragraph(Step)}",
        table(["field", "what it says"], step),
        "## checkpoints",
        first_paragraph(checkpoint),
        listing(checkpoint),
        "## tokens",
        inspect.cleandoc(tokens.__doc__ or "").split("\n\n")[1],
        "## evaluation",
        "One JSON document for each stage. `tasks` has what `firstwords eval --json` prints: for "
        "each task `score`, `chance`, the 95 % interval `ci95`, the number of items `n`, and the "
        "same for its `categories`. `chat_loss` is the loss on held-out answers, `samples` what "
        "the model wrote to prompts that never change. The `.jsonl` files have an item a line: "
        "`category`, `right`, and what was asked and answered.",
    )


class Entry(NamedTuple):
    pattern: str
    meaning: str


def entries(module: Any) -> list[Entry]:
    """The files that a module's docstring lists: a path and, two blanks later, what is in it."""
    lines = re.findall(r"^ {4}(\S+?)  +(\S.*)$", module.__doc__ or "", re.MULTILINE)
    return [Entry(*line) for line in lines]


def listing(module: Any) -> str:
    return table(["file", "what it is"], [[f"`{e.pattern}`", e.meaning] for e in entries(module)])
