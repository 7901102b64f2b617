"""`firstwords data check`, `convert` and `notes`: find mistakes in own files, and rewrite them."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from firstwords.cli.options import JSON, SEED, Duration, UserPath
from firstwords.common.terminal import echo


class JsonLinesPath(UserPath):
    """A file to write whose name ends in .jsonl."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path = super().convert(value, param, ctx)
        if path.suffix.lower() != ".jsonl":
            self.fail(f"{path} is no .jsonl file; use a name such as family.jsonl", param, ctx)
        return path


OUT = click.option(
    "--out",
    type=JsonLinesPath(dir_okay=False),
    metavar="FILE",
    required=True,
    help="File to write; the name ends in .jsonl.",
)


class Columns(click.ParamType):
    """Two columns of a table, separated by a comma."""

    name = "QUESTION,ANSWER"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        from firstwords.data.convert import parse_columns

        try:
            return value if isinstance(value, tuple) else parse_columns(str(value))
        except ValueError:
            self.fail(f"{value!r} is not two columns; write names or numbers like 1,2", param, ctx)


@click.command()
@click.argument("source", metavar="SRC")
@click.option(
    "--run",
    metavar="NAME",
    help="Run whose context and tokenizer to compare with.  [default: those that a plan has]",
)
@JSON
@click.pass_context
def check(context: click.Context, source: str, run: str | None, as_json: bool) -> None:
    """List every problem of SRC, a file or a directory of files, with its line.

    Errors keep training from starting. Notes do not: duplicates, and conversations longer than the
    context, which training splits. Exits with 1 if there is an error.
    """
    from firstwords.common.errors import UserError
    from firstwords.data import review
    from firstwords.data.corpora import open_corpus
    from firstwords.planning.context_length import planned_context, run_context

    corpus = open_corpus(source, "SRC")
    if not corpus.is_own:
        raise UserError(
            f"SRC {source} is not your own", "verify fetched data with: firstwords data verify"
        )
    found = review.review(corpus, run_context(run) if run else planned_context())
    document = json.dumps(review.to_json(found), indent=2, ensure_ascii=False)
    echo(document if as_json else review.render(found))
    context.exit(1 if found.has_errors else 0)


@click.command()
@click.argument("source", metavar="SRC")
@OUT
@click.option(
    "--assistant",
    metavar="NAME",
    help="Person of a chat whose messages the model is to write.  [default: asked on a terminal]",
)
@click.option(
    "--columns",
    type=Columns(),
    help="Columns of a .csv or .tsv file for questions and answers: names, or numbers if the first "
    "line is data.",
)
@click.option(
    "--pause",
    type=Duration(),
    default="3h",
    show_default=True,
    help="Time without a message after which another conversation begins in a chat.",
)
def convert(source: str, out: Path, assistant: str | None, columns: Any, pause: float) -> None:
    """Write SRC as JSON lines of conversations or documents.

    Only exports of WhatsApp (.zip, .txt) and Telegram (result.json), and tables whose columns have
    other names, need this; training reads all other formats as they are.
    """
    from firstwords.common import console
    from firstwords.data.convert import Request, name_people
    from firstwords.data.convert import convert as convert_source

    choose = _ask if sys.stdin.isatty() and sys.stderr.isatty() else name_people
    request = Request(source, out, assistant, columns, timedelta(seconds=pause), choose)
    n_records, what = convert_source(request)
    option = "--chat-data" if what == "conversations" else "--data"
    console.say(f"wrote {n_records:,} {what} to {out}")
    console.say(f"to train on them: firstwords train {option} {out}")


def _ask(path: Path, people: dict[str, int]) -> str:
    """Ask which person of a chat the model is to be."""
    names = list(people)
    for number, name in enumerate(names, 1):
        click.echo(f"{number:3}  {name} ({people[name]:,} messages)", err=True)
    number = click.prompt(
        f"Who in {path.name} is the assistant?", type=click.IntRange(1, len(names)), err=True
    )
    return names[number - 1]


@click.command()
@click.argument("file", metavar="FILE", type=UserPath(dir_okay=False))
@OUT
@click.option(
    "--per-note",
    type=click.IntRange(1, 1000),
    default=120,
    show_default=True,
    help="How often each note is asked for. 120 uses most of the wordings that suit it.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Random seed.")
def notes(file: Path, out: Path, per_note: int, seed: int) -> None:
    """Turn notes, one short sentence a line, into conversations that ask for them.

    A line may also be "question | another question | answer".
    """
    from firstwords.common import console
    from firstwords.data.notes.convert import convert as convert_notes

    done = convert_notes(file, out, per_note, seed)
    for note in done.unparsed:
        console.warn(
            f"{file}, line {note.line}: no known verb, so few questions ask for it; "
            "write it as question | answer"
        )
    console.say(f"{done.n_notes:,} notes became {done.n_conversations:,} conversations in {out}")
    console.say(
        f"to train on them: firstwords train --from RUN --chat-data {out}:0.3 "
        "--chat-data starter:0.7"
    )
