"""The models that can be asked: the stages of runs, loaded when they are first asked for."""

import threading
from typing import NamedTuple

import torch

from firstwords import checkpoint
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
    """A model at work."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, worker: Worker) -> None:
        self.model, self.tokenizer, self.worker = model, tokenizer, worker
        self.context = model.config.max_seq_len

    @torch.inference_mode()
    def score(self, ids: list[int]) -> torch.Tensor:
        """Log-probabilities (T - 1, V) in nats of what follows each of `ids` but the last."""
        logits_TV = self.model(torch.tensor([ids[:-1]]))[0]
        return logits_TV.double().log_softmax(-1)


class Models:
    """All stages of these runs that have a checkpoint; `slots` sequences of a model at a time."""

    def __init__(self, runs: list[Run], slots: int, most_waiting: int) -> None:
        self._slots, self._most_waiting = slots, most_waiting
        self._lock = threading.Lock()
        self._loaded: dict[str, Loaded] = {}
        self.entries: dict[str, Entry] = {}
        for run in runs:
            for stage in reversed(STAGES):
                if found := run.newest(stage):
                    created = int(found.directory.stat().st_mtime)
                    name = f"{run.name}-{stage}"
                    self.entries[name] = Entry(name, run, stage, found.step, created)

    @property
    def default(self) -> str:
        """The furthest stage of the first run."""
        return next(iter(self.entries))

    def load(self, name: str) -> Loaded:
        """The model, loaded now if nobody asked for it before. Raises KeyError."""
        entry = self.entries[name]
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(entry)
            return self._loaded[name]

    def _load(self, entry: Entry) -> Loaded:
        _, found = entry.run.newest_of(entry.stage)
        model, tokenizer = checkpoint.load_model(found.directory), load_tokenizer(entry.run)
        engine = Engine(Decoder(model, self._slots))
        return Loaded(model, tokenizer, Worker(engine, tokenizer, self._most_waiting))

    def busy(self) -> dict[str, int]:
        """Jobs that run or wait, by model."""
        return {name: loaded.worker.accepted for name, loaded in self._loaded.items()}

    def close(self) -> None:
        """Let what runs come to its end."""
        for loaded in self._loaded.values():
            loaded.worker.close()
