"""The models that can be asked: the stages of runs, loaded when they are first asked for."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from firstwords import checkpoint, machine
from firstwords.checkpoint import Checkpoint
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.model import Transformer
from firstwords.recipe import STAGES, Stage
from firstwords.run import Run
from firstwords.serve.worker import Worker
from firstwords.stages.common import load_tokenizer
from firstwords.tokenizer import Tokenizer


class Entry(NamedTuple):
    """A model by its name, RUN-STAGE."""

    name: str
    run: Run
    stage: Stage
    step: int
    created: int  # seconds since 1970


class Loaded:
    """A model at work, as it was after a step."""

    def __init__(
        self, model: Transformer, tokenizer: Tokenizer, worker: Worker, step: int, created: int
    ) -> None:
        self.model, self.tokenizer, self.worker = model, tokenizer, worker
        self.step, self.created = step, created
        self.context = model.config.max_seq_len

    @torch.inference_mode()
    def score(self, ids: list[int]) -> torch.Tensor:
        """Log-probabilities (T - 1, V) in nats of what follows each of `ids` but the last."""
        logits_TV = self.model(torch.tensor([ids[:-1]], device=self.model.device))[0]
        return logits_TV.cpu().double().log_softmax(-1)


class Models:
    """All stages of the runs that `find` finds, if they have a checkpoint; `slots` sequences of a
    model at a time."""

    def __init__(self, find: Callable[[], list[Run]], slots: int, most_waiting: int) -> None:
        self._find, self._slots, self._most_waiting = find, slots, most_waiting
        self._lock = threading.Lock()
        self._loaded: dict[str, Loaded] = {}
        self._newest: dict[Path, tuple[list[Checkpoint], Checkpoint | None]] = {}
        self.entries: dict[str, Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again: a run that trains gets newer checkpoints and further stages."""
        entries = {}
        for run in self._find():
            for stage in reversed(STAGES):
                if found := self._newest_of(run, stage):
                    name = f"{run.name}-{stage}"
                    entries[name] = Entry(name, run, stage, found.step, _created(found))
        self.entries = entries

    def _newest_of(self, run: Run, stage: Stage) -> Checkpoint | None:
        """Checksums are only taken where something has changed."""
        directory = run.checkpoints(stage)
        there = checkpoint.newest_first(directory)
        if directory not in self._newest or self._newest[directory][0] != there:
            self._newest[directory] = there, run.newest(stage)
        return self._newest[directory][1]

    @property
    def default(self) -> str | None:
        """The furthest stage of the first run."""
        return next(iter(self.entries), None)

    def load(self, name: str) -> Loaded:
        """The model, loaded now if nobody asked for it before, or if it has learned more since.
        Raises KeyError, or UserError where it is gone."""
        entry = self.entries[name]
        with self._lock:
            before = self._loaded.get(name)
            if before is None or (before.created, before.step) < (entry.created, entry.step):
                self._loaded[name] = self._load(entry)
                if before:  # what it is answering comes to its end beside the new one
                    threading.Thread(target=before.worker.close).start()
            return self._loaded[name]

    def _load(self, entry: Entry) -> Loaded:
        _, found = entry.run.newest_of(entry.stage)
        device = machine.at_hand(entry.run.recipe.device)
        model, tokenizer = checkpoint.load_model(found.directory, device), load_tokenizer(entry.run)
        worker = Worker(Engine(Decoder(model, self._slots)), tokenizer, self._most_waiting)
        return Loaded(model, tokenizer, worker, found.step, _created(found))

    def busy(self) -> dict[str, int]:
        """Jobs that run or wait, by model."""
        return {name: loaded.worker.accepted for name, loaded in self._loaded.items()}

    def close(self) -> None:
        """Let what runs come to its end."""
        for loaded in self._loaded.values():
            loaded.worker.close()


def _created(found: Checkpoint) -> int:
    return int(found.directory.stat().st_mtime)
