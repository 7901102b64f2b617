"""Train a run from Python, as `firstwords train` does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstwords.api.runs import TrainedRun
from firstwords.common.errors import UserError
from firstwords.common.units import DURATION_HINT, parse_duration
from firstwords.data.mixing import SourceSpec
from firstwords.pipeline import launch, phases
from firstwords.pipeline.request import TrainRequest
from firstwords.recipe import Stage
from firstwords.report.report import publish
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.loop import Step
from firstwords.training.session import Callback, CallbackFactory, Snapshot

OnStep = Callable[[Stage, Step], None]


def train(
    name: str | None = None,
    *,
    time: str | float | None = None,
    data: str | Sequence[str] | None = None,
    chat_data: str | Sequence[str] | None = None,
    seed: int | None = None,
    recipe: str | Path | None = None,
    from_run: str | None = None,
    settings: Mapping[str, Any] | None = None,
    personality: str | Path | None = None,
    on_step: OnStep | None = None,
) -> TrainedRun:
    """Train a run to its end and return it; call again to resume one that was interrupted.

    `time` is a budget such as "5m" or a number of seconds, by default half an hour. `data` and
    `chat_data` are "starter", a file, a directory or "hub:NAME", or several of them to mix, each
    with a weight: ["family.jsonl:0.3", "starter:0.7"]. `recipe` is a run.json, recipe or preset to
    train instead of a planned recipe, `from_run` a finished run ("default" or "default:midtrain")
    whose model to start from instead of random weights, and `settings` are fields of the recipe to
    change, such as {"pretrain.steps": 100}. `personality` is a TOML file with the model's name and
    sentences. `on_step(stage, step)` is called after every step with its metrics. Interrupting
    (Ctrl-C, or a notebook's stop button) saves a checkpoint first. The report is written to the
    run's directory and to the current one.

    Raises UserError for what a user can fix, and Interrupted if it was stopped.
    """
    request = TrainRequest(
        name=name,
        seconds=_seconds(time),
        data=_source(data),
        chat_data=_source(chat_data),
        seed=seed,
        recipe=None if recipe is None else Path(recipe),
        from_run=from_run,
        overrides=tuple(f"{field}={value}" for field, value in (settings or {}).items()),
        personality=None if personality is None else Path(personality),
    )
    with launch.start_run(request) as session:
        if on_step:
            session.callbacks = [*session.callbacks, _step_callback(on_step)]
        phases.run_all(session)
        publish(session.run)
        return TrainedRun(session.run)


def _source(source: str | Sequence[str] | None) -> SourceSpec | None:
    return source if source is None or isinstance(source, str) else tuple(source)


def _seconds(time: str | float | None) -> float | None:
    if time is None or not isinstance(time, str):
        return time
    seconds = parse_duration(time)
    if seconds is None:
        raise UserError(f"time {time!r} is not a duration", DURATION_HINT)
    return seconds


def _step_callback(on_step: OnStep) -> CallbackFactory:
    @contextmanager
    def around_stage(
        stage: Stage, snapshot: Snapshot, tokenizer: Tokenizer, steps_done: int
    ) -> Iterator[Callback]:
        yield lambda step: on_step(stage, step)

    return around_stage
