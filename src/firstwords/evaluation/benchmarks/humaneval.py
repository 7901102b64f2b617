"""HumanEval: functions to complete from their docstrings (arXiv 2107.03374), run in a sandbox.

The pretrained model continues the file until it starts something new at the left margin. The chat
stages are asked for the function; the code block of their answer counts, or else the whole answer.
"""

import re
from functools import partial

from firstwords.evaluation import sandbox
from firstwords.evaluation.benchmark import (
    Benchmark,
    BenchmarkCategory,
    BenchmarkRefused,
    GenerativeItem,
)
from firstwords.evaluation.eval_data import EvalData, Row

STOP = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(")
CODE_BLOCK = re.compile(r"```(?:python)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
MAX_TOKENS = 192


def passes(row: Row, completion: str, isolated: bool = True) -> bool:
    """Return whether the prompt with a completion passes the tests. They may use functions that
    the prompt defines, and get them from the prompt itself."""
    tests = f"{row['prompt']}\n    pass\n\n{row['test']}"
    program = row["prompt"] + completion
    return sandbox.run_program(program, row["entry_point"], tests, isolated).passed


def completion_of(row: Row, answer: str) -> str:
    """Return the completion of the prompt in an answer of a chat: a function's body continues the
    prompt, a whole function follows below and replaces it."""
    match = CODE_BLOCK.search(answer)
    code = match[1] if match else answer
    if re.search(rf"^def {re.escape(row['entry_point'])}\b", code, re.MULTILINE):
        return f"    pass\n\n{code}"
    return code


def humaneval_item(row: Row, chat: bool, isolated: bool) -> GenerativeItem:
    """Return a function to complete as plain text, or for `chat` as a conversation."""

    def check(text: str) -> bool:
        completion = completion_of(row, text) if chat else text
        return passes(row, completion, isolated)

    solution = row["canonical_solution"]
    if chat:
        content = f"Complete this function:\n```python\n{row['prompt']}```"
        messages = [{"role": "user", "content": content}]
        return GenerativeItem(messages, check, solution, max_tokens=MAX_TOKENS)
    return GenerativeItem(row["prompt"], check, solution, stop=STOP, max_tokens=MAX_TOKENS)


def load_categories(
    isolated: bool, data: EvalData, chat: bool, limit: int
) -> dict[str, BenchmarkCategory]:
    """Return the one category. Raises BenchmarkRefused if programs should be isolated and cannot
    be."""
    rows = data.rows("humaneval", limit)
    if isolated and (reason := sandbox.unavailable_reason()):
        raise BenchmarkRefused(
            f"programs that the model writes cannot be isolated: {reason}",
            "use --unsafe-code to run them without a sandbox",
        )
    items = [humaneval_item(row, chat, isolated) for row in rows]
    return {"humaneval": BenchmarkCategory("HumanEval", 0.0, items)}


HUMANEVAL = Benchmark("humaneval", "HumanEval", partial(load_categories, True))
HUMANEVAL_UNSAFE = Benchmark("humaneval", "HumanEval", partial(load_categories, False))
