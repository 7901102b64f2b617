"""HumanEval: functions to be completed from their docstrings (arXiv 2107.03374), run in a sandbox.

A base model continues the file until it begins something new at the left margin. The chat stages
are asked for the function; the block of code in their answer counts, or the whole answer.
"""

import re
from functools import partial

from firstwords.evaluation import sandbox
from firstwords.evaluation.benchmark import Benchmark, Category, Refused, Written
from firstwords.evaluation.data import EvalData, Row

STOP = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(")
BLOCK = re.compile(r"```(?:python)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
MAX_TOKENS = 192


def program(row: Row, completion: str) -> str:
    """What is run: the prompt, what the model wrote after it, the tests, and their call."""
    return f"{row['prompt']}{completion}\n{row['test']}\ncheck({row['entry_point']})"


def answered(row: Row, text: str) -> str:
    """An answer as what follows the prompt: a body goes on where the docstring ended, a whole
    function stands below and takes the place of the first."""
    found = BLOCK.search(text)
    code = found[1] if found else text
    if re.search(rf"^def {re.escape(row['entry_point'])}\b", code, re.MULTILINE):
        return f"    pass\n\n{code}"
    return code


def item(row: Row, chat: bool, isolated: bool) -> Written:
    def check(text: str) -> bool:
        completion = answered(row, text) if chat else text
        return sandbox.run(program(row, completion), isolated).passed

    if chat:
        content = f"Complete this function:\n```python\n{row['prompt']}```"
        asked = [{"role": "user", "content": content}]
        return Written(asked, check, row["canonical_solution"], max_tokens=MAX_TOKENS)
    solution = row["canonical_solution"]
    return Written(row["prompt"], check, solution, stop=STOP, max_tokens=MAX_TOKENS)


def categories(isolated: bool, data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
    rows = data.rows("humaneval", limit)
    if isolated and (reason := sandbox.why_not()):
        raise Refused(
            f"it runs what a model wrote, and that cannot be isolated here: {reason}. "
            "--unsafe-code runs it all the same"
        )
    return {"humaneval": Category("HumanEval", 0.0, [item(row, chat, isolated) for row in rows])}


HUMANEVAL = Benchmark("humaneval", "HumanEval", partial(categories, True))
UNSAFE = Benchmark("humaneval", "HumanEval", partial(categories, False))
