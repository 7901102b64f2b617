"""Every benchmark that `firstwords eval --tasks` knows. docs/how-to/add-a-task.md adds one."""

from firstwords.evaluation.benchmark import Benchmark
from firstwords.evaluation.benchmarks.arc import ARC_CHALLENGE, ARC_EASY
from firstwords.evaluation.benchmarks.core import CORE
from firstwords.evaluation.benchmarks.exam import EXAM
from firstwords.evaluation.benchmarks.gsm8k import GSM8K
from firstwords.evaluation.benchmarks.humaneval import HUMANEVAL
from firstwords.evaluation.benchmarks.mmlu import MMLU

ALL = (CORE, ARC_EASY, ARC_CHALLENGE, MMLU, GSM8K, HUMANEVAL, EXAM)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in ALL}
CHAT = ("arc_easy", "arc_challenge", "mmlu", "gsm8k", "humaneval")  # what ChatCORE is the mean of
