"""The models that the server offers: stages of runs, loaded on their first request."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.models import load_newest
from firstwords.model.transformer import Transformer
from firstwords.recipe import STAGES, Stage
from firstwords.runs import checkpoints
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.run import Run
from firstwords.serve.model_worker import ModelWorker
from firstwords.tokenizer.bpe import Tokenizer


class ModelInfo(NamedTuple):
    """A model that clients can request, under the name RUN-STAGE."""

    name: str
    run: Run
    stage: Stage
    step: int
    created: int  # Unix time of the checkpoint
    size: int  # bytes of its weights

    @property
    def finished(self) -> bool:
        """Whether the checkpoint is that of the stage's last step."""
        return self.step >= self.run.recipe.stage(self.stage).steps


class LoadedModel:
    """A checkpoint in memory, with the worker that generates with it."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        worker: ModelWorker,
        step: int,
        created: int,
    ) -> None:
        self.model, self.tokenizer, self.worker = model, tokenizer, worker
        self.step, self.created = step, created
        self.context = model.config.max_seq_len

    @torch.inference_mode()
    def logprobs(self, ids: list[int]) -> torch.Tensor:
        """Return log-probabilities (T - 1, V) in nats of the token after each of `ids` but the
        last."""
        logits_TV = self.model(torch.tensor([ids[:-1]], device=self.model.device))[0]
        return logits_TV.cpu().double().log_softmax(-1)


class ModelPool:
    """All stages with a checkpoint of the runs that `find_runs` returns.

    Each loaded model generates up to `max_batch_size` answers at a time and queues up to
    `max_queue` further requests.
    """

    def __init__(
        self, find_runs: Callable[[], list[Run]], max_batch_size: int, max_queue: int
    ) -> None:
        self._find_runs, self._max_batch_size, self._max_queue = (
            find_runs,
            max_batch_size,
            max_queue,
        )
        self._lock = threading.Lock()
        self._loaded: dict[str, LoadedModel] = {}
        self._newest: dict[Path, tuple[list[Checkpoint], Checkpoint | None]] = {}
        self.available: dict[str, ModelInfo] = {}
        self.refresh()

    def refresh(self) -> None:
        """List the available models again: a run in training gets newer checkpoints and stages.

        The runs are in their order, but the first is the first whose last stage has finished: a run
        that began a minute ago does not replace it.
        """
        of_runs = [infos for run in self._find_runs() if (infos := list(self._models_of(run)))]
        usable = next((infos for infos in of_runs if _is_usable(infos[0])), None)
        of_runs.sort(key=lambda infos: infos is not usable)
        self.available = {info.name: info for infos in of_runs for info in infos}

    def _models_of(self, run: Run) -> Iterator[ModelInfo]:
        """Yield the models of a run, the latest stage first."""
        for stage in reversed(STAGES):
            checkpoint = self._newest_checkpoint(run, stage)
            if checkpoint and (created := _created(checkpoint)):
                name = f"{run.name}-{stage}"
                yield ModelInfo(name, run, stage, checkpoint.step, created, _size(checkpoint))

    def _newest_checkpoint(self, run: Run, stage: Stage) -> Checkpoint | None:
        """Verify checksums only when the list of checkpoints has changed."""
        directory = run.checkpoints(stage)
        listed = checkpoints.list_checkpoints(directory)
        if directory not in self._newest or self._newest[directory][0] != listed:
            self._newest[directory] = listed, run.newest(stage)
        return self._newest[directory][1]

    @property
    def default(self) -> str | None:
        """The latest stage of the newest run whose last stage has finished, or of the newest with a
        checkpoint; None if no model is available."""
        return next(iter(self.available), None)

    def load(self, name: str) -> LoadedModel:
        """Return a model, loading it if it is not in memory or has another checkpoint: a newer
        one may have an older date, if the clock was set back.

        Raises KeyError for an unknown name, and UserError if its checkpoint was removed.
        """
        info = self.available[name]
        with self._lock:
            loaded = self._loaded.get(name)
            if loaded is None or (loaded.created, loaded.step) != (info.created, info.step):
                newest = self._loaded[name] = self._load(info)
                self.available[name] = info._replace(created=newest.created, step=newest.step)
                if loaded:  # it finishes its running answers while the new one takes over
                    threading.Thread(target=loaded.worker.close).start()
            return self._loaded[name]

    def _load(self, info: ModelInfo) -> LoadedModel:
        _, checkpoint, model, tokenizer = load_newest(info.run, info.stage)
        engine = Engine(Decoder(model, self._max_batch_size))
        worker = ModelWorker(engine, tokenizer, self._max_queue)
        return LoadedModel(model, tokenizer, worker, checkpoint.step, _created(checkpoint) or 0)

    def active_requests(self) -> dict[str, int]:
        """Return the number of running and queued jobs of each loaded model."""
        return {name: loaded.worker.n_active for name, loaded in self._loaded.items()}

    def close(self) -> None:
        """Finish all running and queued jobs, then stop the workers."""
        for loaded in self._loaded.values():
            loaded.worker.close()


def _is_usable(model: ModelInfo) -> bool:
    return model.stage == model.run.recipe.stages[-1] and model.finished


def _size(checkpoint: Checkpoint) -> int:
    """Return the bytes of a checkpoint's weights; 0 if it was removed meanwhile."""
    path = checkpoint.directory / "model.safetensors"
    return path.stat().st_size if path.exists() else 0


def _created(checkpoint: Checkpoint) -> int | None:
    """Return the Unix time of a checkpoint, or None if it was removed meanwhile."""
    try:
        return int(checkpoint.directory.stat().st_mtime)
    except FileNotFoundError:
        return None
