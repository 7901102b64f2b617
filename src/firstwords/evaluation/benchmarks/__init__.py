"""The benchmarks of `firstwords eval --tasks`. docs/how-to/add-a-task.md shows how to add one."""

from firstwords.data.starter.personality import Personality
from firstwords.evaluation.benchmark import Benchmark
from firstwords.evaluation.benchmarks.arc import ARC_CHALLENGE, ARC_EASY
from firstwords.evaluation.benchmarks.babble import BABBLE
from firstwords.evaluation.benchmarks.blimp import BLIMP
from firstwords.evaluation.benchmarks.core import CORE
from firstwords.evaluation.benchmarks.exam import EXAM, exam_for
from firstwords.evaluation.benchmarks.gsm8k import GSM8K
from firstwords.evaluation.benchmarks.humaneval import HUMANEVAL
from firstwords.evaluation.benchmarks.mmlu import MMLU

ALL = (CORE, BLIMP, ARC_EASY, ARC_CHALLENGE, MMLU, GSM8K, HUMANEVAL, EXAM, BABBLE)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in ALL}
OWN = ("exam", "babble")  # benchmarks of Firstwords, which need no data
CHAT_CORE = ("arc_easy", "arc_challenge", "mmlu", "gsm8k", "humaneval")  # ChatCORE is their mean


def benchmarks_for(personality: Personality | None) -> dict[str, Benchmark]:
    """Return the benchmarks, with the exam as a model of this personality is asked."""
    return BENCHMARKS | {"exam": exam_for(personality)}
