"""The example of docs/how-to/add-a-task.md works."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from firstwords.evaluation.benchmark import Benchmark
from firstwords.evaluation.eval_data import EvalData
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.model.transformer import Transformer
from firstwords.recipe import REQUIRED_STAGES, ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-task.md"


def block(language: str) -> str:
    (content,) = re.findall(
        rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    return str(content)


def test_the_task_of_the_guide_runs(
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
    for stage in REQUIRED_STAGES:
        runner = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)
        outcome = run_benchmark(benchmark, runner, stage, EvalData(tmp_path), 0, required=True)
        assert outcome.result["n"] == len(outcome.records) == 3
        assert outcome.result["chance"] == 1 / 3
