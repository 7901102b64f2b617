"""Print an explained update to the terminal."""

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstwords.common.console import PlainConsole
from firstwords.common.terminal import printable
from firstwords.inspect.rollout.explain import Explanation, movement, pushed

MAX_COLUMNS = 100
ANSWER_CHARACTERS = 110  # of an answer's line; --json has the whole answer
CONTEXT_CHARACTERS = 30
N_TOKENS = 12
N_EXPECTED = 12  # of the words that a right answer may have


def print_rollout(explanation: Explanation) -> None:
    """Print the question, the group of answers, and the tokens that moved."""
    console = PlainConsole(highlight=False, emoji=False)
    console.width = min(console.width, MAX_COLUMNS)
    title = f"{explanation.run}, {explanation.stage}, step {explanation.step:,}"
    with console.capture() as captured:
        console.rule(Text(title, "bold"), align="left")
        _print_question(console, explanation)
        _print_answers(console, explanation)
        if any(one.advantage for one in explanation.answers):
            _print_tokens(console, explanation)
        else:
            console.print("\nHere all answers have the same reward, so an update moves nothing.")
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _print_question(console: Console, explanation: Explanation) -> None:
    if explanation.equal_groups:
        console.print(
            f"Of the first {explanation.equal_groups} questions all answers had the same reward."
        )
    console.print(f"Question {explanation.question}, {explanation.kind}:")
    for message in explanation.messages:
        console.print(Text(f"  {message['role']}: {_one_line(message['content'])}"))
    if explanation.expected:
        more = ", …" if len(explanation.expected) > N_EXPECTED else ""
        expected = ", ".join(explanation.expected[:N_EXPECTED]) + more
        console.print(Text(f"Graded by the rule {explanation.rule}: {expected}"))
    else:
        console.print(Text(f"Graded by {explanation.rule}"))


def _print_answers(console: Console, explanation: Explanation) -> None:
    console.print()
    console.print(Text("Answers, the best first", "bold"))
    console.print(
        f"{len(explanation.answers)} answers, sampled at temperature 1. Their mean reward is "
        f"{explanation.mean_reward:.3g}; advantage = reward - mean. log p is the log-probability "
        "of the whole answer in nats, and change what one update adds to it."
    )
    table = _table("#", "reward", "advantage", "tokens", "log p", "change", "answer")
    for number in sorted(
        range(len(explanation.answers)), key=lambda one: -explanation.answers[one].reward
    ):
        one = explanation.answers[number]
        text = _one_line(one.text)
        shown = text if len(text) <= ANSWER_CHARACTERS else f"{text[: ANSWER_CHARACTERS - 1]}…"
        table.add_row(
            str(number),
            f"{one.reward:.3g}",
            f"{one.advantage:+.3f}",
            str(one.tokens),
            f"{one.before:.1f}",
            f"{one.after - one.before:+.2f}",
            Text(f"{shown} [cut]" if one.cut else shown),
        )
    console.print(table)


def _print_tokens(console: Console, explanation: Explanation) -> None:
    moved, n = pushed(explanation)
    console.print()
    console.print(Text("Tokens whose probability moved most", "bold"))
    console.print(
        f"One update, at {explanation.learning_rate:g} of the peak learning rates. Answers that "
        "are equal up to a token push it together: the sum of their advantages says in which "
        "direction."
    )
    table = _table("answers", "advantage", "before", "after", "token", "after the words")
    for one in explanation.tokens[:N_TOKENS]:
        context = _visible(one.context) or "(the start)"
        table.add_row(
            str(len(one.answers)),
            f"{one.advantage:+.3f}",
            f"{one.before:.1%}",
            f"{one.after:.1%}",
            Text(_visible(one.text)),
            Text(context[-CONTEXT_CHARACTERS:]),
        )
    console.print(table)
    console.print(
        f"{moved} of {n} answers moved as their advantage says; advantage x change adds up to "
        f"{movement(explanation):+.2f} nats."
    )


def _table(*header: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for name in header:
        is_text = name in ("answer", "token", "after the words")
        table.add_column(Text(name), justify="left" if is_text else "right", overflow="fold")
    return table


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _visible(text: str) -> str:
    """Show spaces and line breaks, as the X-ray does."""
    return printable(text.replace(" ", "␣").replace("\n", "⏎"))
