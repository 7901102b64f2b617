"""Print an X-ray to the terminal: tables that fit into 80 columns, and that a pipe can carry."""

import itertools
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstwords.common.console import PlainConsole
from firstwords.common.units import format_size
from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray.next_token import NextToken, next_token_distribution
from firstwords.inspect.xray.text_plots import (
    MIN_ATTENTION,
    bar,
    heat_map,
    percent,
    side_by_side,
)
from firstwords.inspect.xray.tokens import escape_controls

MAX_COLUMNS = 100  # longer lines are hard to read
MAX_MAP_TOKENS = 40  # maps of longer texts are left to the page
MAX_WIDE_CELLS = 16  # tokens up to which cells are two characters wide, which is about square
LABEL_WIDTH = 10  # characters of a token beside a map
MAX_LENS_LEVELS = 7  # that fit side by side
N_CANDIDATES = 12  # most likely next tokens
HEAD_PATTERNS = ("first", "before", "itself", "repeat")
GENERATED = ("model", "tool")
WRITERS = {
    "text": "",
    "answer": "the assistant",
    "result": "the calculator",
    "frame": "markup",
    "model": "the model",
    "tool": "the calculator",
}

JsonObject = dict[str, Any]


def print_xray(document: JsonObject) -> None:
    """Print the document of an X-ray, one stage after the other."""
    out = PlainConsole(highlight=False, emoji=False)
    out.width = min(out.width, MAX_COLUMNS)
    with out.capture() as captured:
        for stage in document["stages"]:
            StagePrinter(document, stage, out).print_views()
        if len(document["stages"]) > 1:
            _print_stages(document, out)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


class StagePrinter:
    """Prints the views of one stage of a document."""

    def __init__(self, document: JsonObject, stage: JsonObject, out: Console) -> None:
        self.document, self.stage, self.out = document, stage, out
        self.ids = [token["id"] for token in stage["tokens"]]

    def print_views(self) -> None:
        self._print_heading()
        views = {
            "text": self._print_text,
            "next": self._print_next,
            "model": self._print_model,
            "attention": self._print_attention,
            "lens": self._print_lens,
            "loss": self._print_loss,
            "cache": self._print_cache,
            "tokens": self._print_tokens,
            "similar": self._print_similar,
        }
        for name, view in self.document["views"].items():
            self.out.print()
            self.out.print(Text.assemble((f"{view['title']}. ", "bold"), view["says"]))
            self.out.print()
            views[name]()

    def token(self, id: int) -> str:
        """Return a token in printable form."""
        return str(self.document["vocabulary"][id])

    def _print_heading(self) -> None:
        stage, model = self.stage, self.stage["model"]
        step = f"step {stage['step']:,} of {stage['steps']:,}"
        title = f"{self.document['run']}, {stage['stage']}, {step}"
        self.out.rule(Text(title, "bold"), align="left")
        self.out.print(
            f"{model['layers']} layers x {model['channels']} channels, {model['heads']} heads, "
            f"vocabulary {model['vocabulary']:,}, context {model['context']:,}"
        )

    def _print_text(self) -> None:
        tokens, n_prompt = self.stage["tokens"], self.n_prompt
        for title, part in (("read", tokens[:n_prompt]), ("wrote", tokens[n_prompt:])):
            if part:
                text = escape_controls("".join(token["text"] for token in part))
                self.out.print(Text.assemble((f"{title}: ", "dim"), text))
        if self.document["dropped"]:
            self.out.print(
                f"The first {self.document['dropped']} messages of the conversation do not fit the "
                "context; the model did not read them."
            )

    def _print_model(self) -> None:
        position, levels = self.n_prompt - 1, self.stage["residual"]
        table = _table("after", ">stream", ">attention added", ">MLP added")
        table.add_row("embedding", f"{levels[0]['stream'][position]:.2f}", "", "")
        for number, (before, level) in enumerate(itertools.pairwise(levels), 1):
            stream = before["stream"][position]
            added = (percent(level[part][position] / stream) for part in ("attention", "mlp"))
            table.add_row(f"layer {number}", f"{level['stream'][position]:.2f}", *added)
        self.out.print(table)
        self.out.print(
            f"Of the token {self.token(self.ids[position])}: the length of its stream, and how "
            "long what the layer added is, compared with the stream before the layer."
        )

    @property
    def n_prompt(self) -> int:
        return sum(token["by"] not in GENERATED for token in self.stage["tokens"])

    def _print_tokens(self) -> None:
        table = _table(">", "token", ">id", ">bytes", "written by")
        for position, token in enumerate(self.stage["tokens"]):
            span = "" if token["start"] is None else f"{token['start']}-{token['end']}"
            name, writer = Text(self.token(token["id"])), WRITERS[token["by"]]
            table.add_row(str(position), name, str(token["id"]), span, writer)
        self.out.print(table)

    def _print_loss(self) -> None:
        loss, table = self.stage["loss"], _table(">", "token", ">nats", ">rank", "")
        largest = max(nats or 0.0 for nats in loss["nats"]) or 1.0
        for position, (nats, rank) in enumerate(zip(loss["nats"], loss["rank"], strict=True)):
            if nats is not None:
                name, line = Text(self.token(self.ids[position])), bar(nats / largest, 30)
                table.add_row(str(position), name, f"{nats:.2f}", f"{rank:,}", line)
        self.out.print(table)
        self.out.print(
            f"The text has {loss['tokens']:,} tokens and {loss['bytes']:,} bytes: "
            f"{loss['mean']:.3f} nats per token, {loss['bits_per_byte']:.3f} bits per byte."
        )

    def _print_similar(self) -> None:
        table = _table("token", "most similar tokens, with the cosine of the angle between them")
        ids = [token["id"] for token in self.stage["tokens"] if token["start"] is not None]
        for id in dict.fromkeys(ids):
            similar = self.stage["similar"][str(id)][:5]
            words = [f"{self.token(int(other))} {cosine:.2f}" for other, cosine in similar]
            table.add_row(Text(self.token(id)), Text("  ".join(words)))
        self.out.print(table)

    def _print_attention(self) -> None:
        if len(self.ids) <= MAX_MAP_TOKENS:
            self.out.print(self._attention_maps(), "", sep="\n", soft_wrap=True)
        columns = ("layer", "head", *HEAD_PATTERNS)
        table = _table(*(f">{name}" for name in columns), "the last token attends to")
        for layer, heads in enumerate(self.stage["heads"]):
            for head, patterns in enumerate(heads):
                means = [patterns[name] for name in HEAD_PATTERNS]
                cells = ("-" if mean is None else percent(mean) for mean in means)
                last_row = self.stage["attention"][layer][head][-1]
                table.add_row(str(layer + 1), str(head + 1), *cells, self._top_attended(last_row))
        self.out.print(table)
        self.out.print(
            "Mean attention over all tokens: to the first token, to the one before, to itself, and "
            "to the token after an earlier occurrence of the same token (- if nothing repeats)."
        )

    def _attention_maps(self) -> str:
        names = [self.token(id) for id in self.ids]
        labels = [
            f"{name[: LABEL_WIDTH - 1]}…" if len(name) > LABEL_WIDTH else name for name in names
        ]
        cell_width = 2 if len(names) <= MAX_WIDE_CELLS else 1
        maps = [
            heat_map(f"layer {layer} head {head}", rows, cell_width)
            for layer, heads in enumerate(self.stage["attention"], 1)
            for head, rows in enumerate(heads, 1)
        ]
        return side_by_side(["", *labels], maps, self.out.width)

    def _top_attended(self, row: list[float]) -> Text:
        best = sorted(range(len(row)), key=lambda position: -row[position])[:3]
        words = [
            f"{self.token(self.ids[position])} {percent(row[position])}"
            for position in best
            if row[position] >= MIN_ATTENTION
        ]
        return Text("  ".join(words))

    def _print_lens(self) -> None:
        levels = _evenly_spaced(self.stage["lens"], MAX_LENS_LEVELS)
        table = _table("token", *(level["after"] for level in levels), "actual")
        for position, id in enumerate(self.ids):
            best = [level["top"][position][0] for level in levels]
            is_last = position + 1 == len(self.ids)
            actual = "?" if is_last else self.token(self.ids[position + 1])
            cells = [Text(f"{percent(p):>4} {self.token(int(top))}") for top, p in best]
            table.add_row(Text(self.token(id)), *cells, Text(actual))
        self.out.print(table)

    def _print_next(self) -> None:
        sampling = Sampling(**self.document["sampling"])
        distribution = self.next_token_after_text(sampling)
        table = _table("token", ">id", ">logit", ">model", ">sampled", "")
        for candidate in distribution.candidates[:N_CANDIDATES]:
            table.add_row(
                Text(self.token(candidate.token)),
                str(candidate.token),
                f"{candidate.logit:.2f}",
                percent(candidate.probability),
                "cut" if candidate.sampled is None else percent(candidate.sampled),
                bar(candidate.sampled or 0.0, 24),
            )
        self.out.print(table)
        self.out.print(
            f"temperature {sampling.temperature:g}, top-k {sampling.top_k}, top-p "
            f"{sampling.top_p:g}: {distribution.n_kept:,} of {distribution.n_all:,} tokens can be "
            "sampled."
        )

    def next_token_after_text(self, sampling: Sampling) -> NextToken:
        """Return the distribution of the first token that the model generates."""
        return next_token_distribution(self.stage["logits"][str(self.n_prompt - 1)], sampling)

    def _print_cache(self) -> None:
        cache = self.stage["cache"]
        if not cache or not cache["steps"]:
            full = "The text fills the context, so nothing was generated."
            self.out.print(full if cache else "Nothing was generated; add --generate 20.")
            return
        table = _table(">step", "token", ">cached", ">bytes", ">computed", "")
        generated = [t for t in self.stage["tokens"] if t["by"] in GENERATED]
        for number, (step, token) in enumerate(zip(cache["steps"], generated, strict=True), 1):
            table.add_row(
                str(number),
                Text(self.token(token["id"]) + (" (forced)" if token["by"] == "tool" else "")),
                str(step["tokens"]),
                format_size(step["bytes"]),
                str(step["read"]),
                bar(step["bytes"] / cache["reserved"], 24),
            )
        self.out.print(table)
        computed, without = (
            sum(step[name] for step in cache["steps"]) for name in ("read", "without")
        )
        self.out.print(
            f"{computed:,} tokens ran through the model; without a cache it would be "
            f"{without:,}. With a full context of {self.stage['model']['context']:,} tokens the "
            f"cache takes {format_size(cache['reserved'])}."
        )


def _print_stages(document: JsonObject, out: Console) -> None:
    out.print()
    out.rule(Text("stages side by side", "bold"), align="left")
    table = _table("stage", ">step", ">nats/token", ">bits/byte", "most likely next")
    for stage in document["stages"]:
        printer = StagePrinter(document, stage, out)
        unchanged = Sampling(temperature=1, top_k=0, top_p=1)
        candidates = printer.next_token_after_text(unchanged).candidates[:4]
        words = "  ".join(f"{printer.token(c.token)} {percent(c.probability)}" for c in candidates)
        loss = stage["loss"]
        figures = (f"{loss['mean']:.3f}", f"{loss['bits_per_byte']:.3f}")
        table.add_row(stage["stage"], f"{stage['step']:,}", *figures, Text(words))
    out.print(table)


def _table(*columns: str) -> Table:
    """Return an empty table. Columns whose name starts with ">" are aligned right; cells that are
    too long are cut at the end."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _evenly_spaced(levels: list[JsonObject], count: int) -> list[JsonObject]:
    """Return at most `count` levels, with the first and the last."""
    if len(levels) <= count:
        return levels
    return [levels[round(i * (len(levels) - 1) / (count - 1))] for i in range(count)]
