"""The X-ray in a terminal: tables that fit into 80 columns, and can be read in a pipe too."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstwords import console as messages
from firstwords.inference.sampling import Sampling
from firstwords.xray.draw import LEAST, bar, beside, heat_map, percent
from firstwords.xray.next import NextToken, next_tokens

WIDEST = 100  # columns; longer lines are hard to follow
WIDEST_MAP = 40  # tokens; maps of longer texts are for the page
WIDE_CELLS = 16  # tokens, up to which a cell is about square
LABEL = 10  # characters of a token beside a map
LEVELS = 7  # of the lens that fit beside each other
NEXT = 12  # likeliest tokens that are told
HABITS = ("first", "before", "itself", "repeat")

Document = dict[str, Any]


def show(document: Document) -> None:
    out = Console(highlight=False, emoji=False)
    out.width = min(out.width, WIDEST)
    with out.capture() as captured:
        for stage in document["stages"]:
            Xray(document, stage, out).show()
        if len(document["stages"]) > 1:
            _side_by_side(document, out)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


class Xray:
    """One stage of a document on its way to the terminal."""

    def __init__(self, document: Document, stage: Document, out: Console) -> None:
        self.document, self.stage, self.out = document, stage, out
        self.ids = [token["id"] for token in stage["tokens"]]

    def show(self) -> None:
        self._head()
        views = {
            "tokens": self._tokens,
            "loss": self._loss,
            "similar": self._similar,
            "attention": self._attention,
            "lens": self._lens,
            "next": self._next,
            "cache": self._cache,
        }
        for name, words in self.document["views"].items():
            self.out.print()
            self.out.print(Text.assemble((f"{words['title']}. ", "bold"), words["says"]))
            self.out.print()
            views[name]()

    def name(self, token: int) -> str:
        return str(self.document["vocabulary"][token])

    def _head(self) -> None:
        stage, model = self.stage, self.stage["model"]
        step = f"step {stage['step']:,} of {stage['steps']:,}"
        title = f"{self.document['run']}, {stage['stage']}, {step}"
        self.out.rule(Text(title, "bold"), align="left")
        self.out.print(
            f"{model['layers']} layers x {model['channels']} channels, {model['heads']} heads, "
            f"vocabulary {model['vocabulary']:,}, context {model['context']:,}"
        )

    def _tokens(self) -> None:
        table = _table(">", "token", ">id", ">bytes", "written by")
        for place, token in enumerate(self.stage["tokens"]):
            inside = token["start"] is not None
            span = f"{token['start']}-{token['end']}" if inside else ""
            by = {"text": "", "frame": "the frame", "model": "the model", "tool": "the calculator"}
            name = Text(self.name(token["id"]))
            table.add_row(str(place), name, str(token["id"]), span, by[token["by"]])
        self.out.print(table)

    def _loss(self) -> None:
        loss, table = self.stage["loss"], _table(">", "token", ">nats", ">choice", "")
        most = max(nats or 0.0 for nats in loss["nats"]) or 1.0
        for place, (nats, rank) in enumerate(zip(loss["nats"], loss["rank"], strict=True)):
            name = Text(self.name(self.ids[place]))
            if nats is not None:
                table.add_row(str(place), name, f"{nats:.2f}", f"{rank:,}", bar(nats / most, 30))
        self.out.print(table)
        self.out.print(
            f"The text, {loss['tokens']:,} tokens and {loss['bytes']:,} bytes: "
            f"{loss['mean']:.3f} nats a token, {loss['bits_per_byte']:.3f} bits a byte."
        )

    def _similar(self) -> None:
        table = _table("token", "the most similar, with the cosine of the angle between them")
        own = [token["id"] for token in self.stage["tokens"] if token["by"] == "text"]
        for token in dict.fromkeys(own):
            near = self.stage["similar"][str(token)][:5]
            words = [f"{self.name(int(other))} {cosine:.2f}" for other, cosine in near]
            table.add_row(Text(self.name(token)), Text("  ".join(words)))
        self.out.print(table)

    def _attention(self) -> None:
        if len(self.ids) <= WIDEST_MAP:
            self.out.print(self._maps(), "", sep="\n", soft_wrap=True)
        table = _table(*(f">{name}" for name in ("layer", "head", *HABITS)), "the last token takes")
        for layer, heads in enumerate(self.stage["heads"]):
            for number, habits in enumerate(heads):
                shares = (
                    "-" if share is None else percent(share) for share in map(habits.get, HABITS)
                )
                last = self.stage["attention"][layer][number][-1]
                table.add_row(str(layer + 1), str(number + 1), *shares, self._taken(last))
        self.out.print(table)
        self.out.print(
            "In the mean of all tokens: to the first, the one before, itself, and what came after "
            "the same token last time (- where nothing repeats)."
        )

    def _maps(self) -> str:
        names = [self.name(token) for token in self.ids]
        labels = [f"{name[: LABEL - 1]}…" if len(name) > LABEL else name for name in names]
        maps = [
            heat_map(f"layer {layer} head {number}", rows, 2 if len(rows) <= WIDE_CELLS else 1)
            for layer, heads in enumerate(self.stage["attention"], 1)
            for number, rows in enumerate(heads, 1)
        ]
        return beside(["", *labels], maps, self.out.width)

    def _taken(self, row: list[float]) -> Text:
        best = sorted(range(len(row)), key=lambda place: -row[place])[:3]
        words = [f"{self.name(self.ids[p])} {percent(row[p])}" for p in best if row[p] >= LEAST]
        return Text("  ".join(words))

    def _lens(self) -> None:
        levels = _spread(self.stage["lens"], LEVELS)
        table = _table("token", *(level["after"] for level in levels), "came")
        for place, token in enumerate(self.ids):
            best = [level["top"][place][0] for level in levels]
            came = self.name(self.ids[place + 1]) if place + 1 < len(self.ids) else "?"
            cells = [Text(f"{percent(share):>4} {self.name(int(id))}") for id, share in best]
            table.add_row(Text(self.name(token)), *cells, Text(came))
        self.out.print(table)

    def _next(self) -> None:
        sampling = Sampling(**self.document["sampling"])
        found = self.after_text(sampling)
        table = _table("token", ">id", ">logit", ">model", ">settings", "")
        for one in found.likeliest[:NEXT]:
            drawn = "cut" if one.drawn is None else percent(one.drawn)
            label, share = Text(self.name(one.token)), bar(one.drawn or 0.0, 24)
            table.add_row(
                label, str(one.token), f"{one.logit:.2f}", percent(one.share), drawn, share
            )
        self.out.print(table)
        self.out.print(
            f"temperature {sampling.temperature:g}, top-k {sampling.top_k}, top-p "
            f"{sampling.top_p:g}: {found.kept:,} of {found.all:,} tokens can be drawn."
        )

    def after_text(self, sampling: Sampling) -> NextToken:
        """Before the model wrote anything."""
        given = sum(token["by"] in ("text", "frame") for token in self.stage["tokens"])
        return next_tokens(self.stage["logits"][str(given - 1)], sampling)

    def _cache(self) -> None:
        cache = self.stage["cache"]
        if not cache or not cache["steps"]:
            why = "The text fills the context." if cache else "Go on with some: --generate 20"
            self.out.print(why)
            return
        table = _table(">step", "wrote", ">tokens", ">bytes", ">read", "")
        written = [t for t in self.stage["tokens"] if t["by"] in ("model", "tool")]
        for number, (step, token) in enumerate(zip(cache["steps"], written, strict=True), 1):
            table.add_row(
                str(number),
                Text(self.name(token["id"]) + (" (given)" if token["by"] == "tool" else "")),
                str(step["tokens"]),
                messages.size(step["bytes"]),
                str(step["read"]),
                bar(step["bytes"] / cache["reserved"], 24),
            )
        self.out.print(table)
        read, without = (sum(step[name] for step in cache["steps"]) for name in ("read", "without"))
        self.out.print(
            f"{read:,} tokens went through the model; without a cache it had been {without:,}. "
            f"Full, at {self.stage['model']['context']:,} tokens, the cache holds "
            f"{messages.size(cache['reserved'])}."
        )


def _side_by_side(document: Document, out: Console) -> None:
    out.print()
    out.rule(Text("side by side", "bold"), align="left")
    table = _table("stage", ">step", ">nats a token", ">bits a byte", "likeliest next")
    for stage in document["stages"]:
        xray = Xray(document, stage, out)
        found = xray.after_text(Sampling(temperature=1, top_k=0, top_p=1)).likeliest[:4]
        words = "  ".join(f"{xray.name(one.token)} {percent(one.share)}" for one in found)
        loss = stage["loss"]
        figures = (f"{loss['mean']:.3f}", f"{loss['bits_per_byte']:.3f}")
        table.add_row(stage["stage"], f"{stage['step']:,}", *figures, Text(words))
    out.print(table)


def _table(*columns: str) -> Table:
    """Columns of numbers, which begin with ">", go to the right. What is too long loses its end."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _spread(levels: list[Document], most: int) -> list[Document]:
    """So many of them, the first and the last among them."""
    if len(levels) <= most:
        return levels
    return [levels[round(i * (len(levels) - 1) / (most - 1))] for i in range(most)]
