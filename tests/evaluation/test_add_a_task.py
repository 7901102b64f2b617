"""docs/how-to/add-a-task.md works as it stands."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from firstwords.evaluation.benchmark import Benchmark, Taker
from firstwords.evaluation.data import EvalData
from firstwords.evaluation.taking import take_benchmark
from firstwords.model import Transformer
from firstwords.recipe import STAGES, ModelConfig
from firstwords.tokenizer import Tokenizer

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-task.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_the_guides_task_can_be_taken(
    tmp_path: Path,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: Callable[..., Transformer],
) -> None:
    (tmp_path / "capitals.jsonl").write_text(block("json"))
    source = tmp_path / "capitals.py"
    source.write_text(block("python"))
    assert len(block("python").splitlines()) <= 30
    spec = importlib.util.spec_from_file_location("capitals", source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    benchmark: Benchmark = module.CAPITALS
    for stage in STAGES:
        taker = Taker(random_model(tiny_model), tiny_tokenizer)
        taken = take_benchmark(benchmark, taker, stage, EvalData(tmp_path), 0, asked=True)
        assert taken.result["n"] == len(taken.records) == 3
        assert taken.result["chance"] == 1 / 3
