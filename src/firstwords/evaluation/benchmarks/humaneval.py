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


def program_with_tests(row: Row, completion: str) -> str:
    """Return the program to run: the prompt, its completion, the tests, and a call of them."""
    return f"{row['prompt']}{completion}\n{row['test']}\ncheck({row['entry_point']})"


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
        return sandbox.run_program(program_with_tests(row, completion), isolated).passed

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
