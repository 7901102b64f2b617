"""A run: one directory that holds everything about one model.

    run.json                         the manifest: recipe, sources, machine, plan; written once
    tokenizer/tokenizer.json         the tokenizer, in the format of Hugging Face's libraries
    tokenizer/stats.json             how well it compresses
    start/                           weights and tokenizer that the run starts from (train --from)
    tokens/{text,chat}/{train,val}/  encoded corpora, in shards
    tokens/{text,chat}/{train,val}.source.json  the files that they were encoded from
    checkpoints/{pretrain,midtrain,sft,rl}/     the newest two checkpoints of each stage, by step
    checkpoints/run.json             a copy of the manifest, used if run.json is lost
    metrics/{pretrain,midtrain,sft,rl}.jsonl    one line for each step
    samples/                         what the growing model made of the same prompts
    tensorboard/{pretrain,midtrain,sft,rl}/     the metrics, as TensorBoard reads them
    wandb/                           the metrics, as Weights & Biases reads them (--log-to wandb)
    evaluation/{pretrain,midtrain,sft,rl}.json  scores, samples, loss on answers
    evaluation/{pretrain,midtrain,sft,rl}.*.jsonl  every item of a benchmark and the model's answer
    evaluation/{pretrain,midtrain,sft,rl}.*.part.json  finished parts of an unfinished evaluation
    timings.json                     seconds and peak memory of each phase
    report.{html,md}                 the report
    report.{csv,json}                its figures as data
    lock                             held by the process that works on the run

Which phases are done is read from these files; there is no other state that could disagree.
"""

from pathlib import Path
from typing import Any, Literal

from firstwords.common import console, files
from firstwords.common.errors import DamagedFile, UserError
from firstwords.data.starter.personality import Personality
from firstwords.recipe import STAGES, Recipe, Stage
from firstwords.runs import checkpoints
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.documents import (
    AnswerRecord,
    Evaluation,
    Sample,
    Timing,
    TokenizerStats,
    read_or_none,
    read_valid_lines,
)
from firstwords.runs.manifest import Manifest


class Run:
    """The paths of a run and what is finished in it."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory, self.manifest = directory, manifest

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def recipe(self) -> Recipe:
        return self.manifest.recipe

    def personality_of(self, stage: Stage) -> Personality | None:
        """Return the personality that the model of a stage answers with: the run's, except after
        pretraining, which reads no conversations."""
        return None if stage == "pretrain" else self.manifest.personality

    def assistant_name(self, stage: Stage) -> str | None:
        """Return the name under which the model of a stage answers, if it has a personality."""
        own = self.personality_of(stage)
        return own.name if own else None

    @property
    def start(self) -> Path:
        """The directory of the weights that the run starts from, if it has an origin."""
        return self.directory / "start"

    @property
    def file_seed(self) -> int:
        """The seed that decides which records of own files are held out."""
        origin = self.manifest.origin
        return origin.file_seed if origin else self.recipe.seed

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / "tokenizer" / "tokenizer.json"

    @property
    def tokenizer_stats_path(self) -> Path:
        return self.directory / "tokenizer" / "stats.json"

    def tokenizer_stats(self) -> dict[str, Any] | None:
        """Return how well the tokenizer compresses, or None if that was not measured."""
        stats: dict[str, Any] | None = read_or_none(TokenizerStats, self.tokenizer_stats_path)
        return stats

    def has_tokenizer(self) -> bool:
        """Return whether the tokenizer is trained and measured, and its file is undamaged."""
        stats = self.tokenizer_stats()
        if stats is None:
            return False
        try:
            files.verify_sha256(self.tokenizer_path, stats["sha256"])
        except DamagedFile:
            return False
        return True

    def find_tokenizer(self) -> Path | None:
        """Return the file of the tokenizer: the run's own, or a checkpoint's if that is missing or
        damaged."""
        if self.has_tokenizer():
            return self.tokenizer_path
        for stage in reversed(STAGES):
            if found := self.newest(stage):
                console.warn_once(
                    f"{self.tokenizer_path.parent} is missing or damaged; using the tokenizer of "
                    f"{found.directory}"
                )
                return found.directory / "tokenizer.json"
        return self.start / "tokenizer.json" if self.manifest.origin else None

    def tokens(self, kind: str, split: str) -> Path:
        return self.directory / "tokens" / kind / split

    def checkpoints(self, stage: Stage) -> Path:
        return self.directory / "checkpoints" / stage

    def metrics(self, stage: Stage) -> Path:
        return self.directory / "metrics" / f"{stage}.jsonl"

    def evaluation(self, stage: Stage) -> Path:
        return self.directory / "evaluation" / f"{stage}.json"

    def read_evaluation(self, stage: Stage) -> dict[str, Any] | None:
        """Return the evaluation of a stage, or None if there is none."""
        evaluation: dict[str, Any] | None = read_or_none(Evaluation, self.evaluation(stage))
        return evaluation

    def answers(self, stage: Stage, task: Literal["exam", "babble"]) -> list[dict[str, Any]]:
        """Return the records of the exam's questions, or of the open prompts."""
        return read_valid_lines(AnswerRecord, self.records(stage, task))

    def records(self, stage: Stage, task: str) -> Path:
        """The file with every item of a benchmark and the model's answer."""
        return self.directory / "evaluation" / f"{stage}.{task}.jsonl"

    def evaluation_part(self, stage: Stage, part: str) -> Path:
        return self.directory / "evaluation" / f"{stage}.{part}.part.json"

    def evaluation_parts(self) -> list[Path]:
        """Return the finished parts of unfinished evaluations."""
        return sorted((self.directory / "evaluation").glob("*.part.json"))

    def newest(self, stage: Stage) -> Checkpoint | None:
        """Return the stage's newest undamaged checkpoint; warn once about each damaged one."""
        return checkpoints.newest_checkpoint(self.checkpoints(stage), console.warn_once)

    def finished(self, stage: Stage) -> Checkpoint | None:
        """Return the checkpoint after the stage's last step, if there is one."""
        if stage not in self.recipe.stages:
            return None
        found = self.newest(stage)
        return found if found and found.step >= self.recipe.stage(stage).steps else None

    def finished_or_fail(self, stage: Stage) -> Checkpoint:
        """Return the checkpoint after the stage's last step. Raises UserError that names the
        command to run first."""
        if stage not in self.recipe.stages:
            raise UserError(
                f"run {self.name} has no stage {stage}",
                f"choose one of: {', '.join(self.recipe.stages)}",
            )
        found = self.finished(stage)
        if found is None:
            raise UserError(
                f"run {self.name} has not finished {stage}",
                f"first run: firstwords {stage} --run {self.name}",
            )
        return found

    def last_trained(self, stage: Stage) -> Stage:
        """Return the stage that trained the model of a stage: a skipped one has the model of the
        stage before, or of the run that this one starts from."""
        stages = STAGES[: STAGES.index(stage) + 1]
        trained = [earlier for earlier in stages if self.recipe.stage(earlier).steps]
        origin = self.manifest.origin
        return trained[-1] if trained else origin.stage if origin else stage

    def newest_of(self, stage: Stage | None) -> tuple[Stage, Checkpoint]:
        """Return the newest checkpoint of a stage, by default of the latest stage with any.

        Raises UserError if there is none.
        """
        for candidate in [stage] if stage else reversed(STAGES):
            if found := self.newest(candidate):
                return candidate, found
        raise UserError(
            f"run {self.name} has no checkpoint" + (f" of {stage}" if stage else ""),
            f"to resume it, run: firstwords train --run {self.name}",
        )

    def samples_path(self, stage: Stage, step: int) -> Path:
        return self.directory / "samples" / f"{stage}-{step:07d}.json"

    def samples(self) -> list[dict[str, Any]]:
        """Return all samples written during training, in the order of training."""
        paths = (self.directory / "samples").glob("[!.]*-*.json")
        found = [sample for path in paths if (sample := read_or_none(Sample, path))]
        return sorted(found, key=lambda page: (STAGES.index(page["stage"]), page["step"]))

    @property
    def timings_path(self) -> Path:
        return self.directory / "timings.json"

    def timings(self) -> dict[str, dict[str, float]]:
        """Return the `seconds` and `peak_memory` (bytes) of each phase so far."""
        return read_or_none(dict[str, Timing], self.timings_path) or {}

    def phase_seconds(self) -> dict[str, float]:
        """Return the wall time of each phase so far, with that of the plan's benchmark."""
        measuring: float = self.manifest.predicted.get("measuring_seconds", 0.0)
        phases = {name: timing["seconds"] for name, timing in self.timings().items()}
        return {"benchmarking": measuring, **phases} if measuring else phases

    def total_seconds(self) -> float:
        """Return the wall time of all phases: the only time of the whole run that is stated."""
        return sum(self.phase_seconds().values())
