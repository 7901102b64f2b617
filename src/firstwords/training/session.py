"""One process's work on a run: the run, the processes beside it, its stop signal, its callbacks."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from firstwords.common import files
from firstwords.common.memory import peak_memory
from firstwords.common.signals import StopSignal
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.distributed import World
from firstwords.training.loop import Step

# Copies the model in training to the main process; all processes call it together, and the others
# get None.
Snapshot = Callable[[], Transformer | None]
Callback = Callable[[Step], None]
# Called once per stage with its name, a model snapshot, the tokenizer and the steps already taken;
# returns a context manager around the stage whose value is called after every step.
CallbackFactory = Callable[[Stage, Snapshot, Tokenizer, int], AbstractContextManager[Callback]]


class Session:
    """A run that this process works on. By default it works alone and has no callbacks."""

    def __init__(
        self,
        run: Run,
        world: World | None = None,
        stop: StopSignal | None = None,
        callbacks: Sequence[CallbackFactory] = (),
    ) -> None:
        self.run = run
        self.world = world or World()
        self.stop = stop or StopSignal()
        self.callbacks = callbacks
        self.compiles = run.recipe.compile  # until it fails once
        self._timed: tuple[str, float] | None = None  # the phase being timed, and since when

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the wall time of the block to the phase in timings.json, even if the block raises."""
        self._timed = phase, time.monotonic()
        try:
            yield
        finally:
            self.record_time()
            self._timed = None

    def record_time(self) -> None:
        """Write the time of a timed block so far, and the manifest if it was deleted. Called now
        and then, so that a kill loses little."""
        if self._timed is None or not self.world.is_main:
            return
        (phase, since), now = self._timed, time.monotonic()
        self._timed = phase, now
        timings = self.run.timings()
        before = timings.get(phase, {"seconds": 0.0, "peak_memory": 0.0})
        timings[phase] = {
            "seconds": before["seconds"] + now - since,
            "peak_memory": max(before["peak_memory"], peak_memory()),
        }
        files.write_json(self.run.timings_path, timings)
        registry.restore_manifest(self.run)
