"""The processes that torchrun started, at work on one run.

Process 0 is the main process: it alone plans, writes files and prints. A process on its own has a
`World` of size 1, in which nothing here communicates.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from firstwords.common.errors import ReportedError, UserError

# A process that dies is noticed at once. This only bounds how long the others may wait for the main
# process while it encodes the data and evaluates.
TIMEOUT = timedelta(hours=12)
T = TypeVar("T")


class World:
    """The processes of a run: this one's rank, their number, and how many share this node."""

    def __init__(self, rank: int = 0, size: int = 1, local_size: int = 1) -> None:
        self.rank, self.size, self.local_size = rank, size, local_size

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every process is here."""
        self.all_reduce_sum(0.0)  # over gloo, which waits for hours without complaint

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run the block in the main process alone; then in the others, who find its work done."""
        if not self.is_main:
            self.barrier()
        yield
        if self.is_main:
            self.barrier()

    def all_reduce_sum(self, *values: float) -> list[float]:
        """Sum each number over all processes; every process gets the same sums."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(value) for value in sums]

    def all_gather(self, value: T) -> list[T]:
        """Return the value of each process, by rank."""
        if self.size == 1:
            return [value]
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered

    @contextmanager
    def raising_together(self) -> Iterator[None]:
        """Raise a UserError of the block in one process in all of them, so that all end together.
        The main process alone prints it. The block communicates with no other process."""
        if self.size == 1:
            yield
            return
        problem = None
        try:
            yield
        except UserError as error:
            problem = error.problem, error.hint
        if problems := [found for found in self.all_gather(problem) if found]:
            raise (UserError if self.is_main else ReportedError)(*problems[0])

    def local_threads(self, n_threads: int) -> int:
        """Return this process's share of the threads that the processes of a node have."""
        return max(1, n_threads // self.local_size)

    def local_range(self, count: int) -> range:
        """Return this process's share of the numbers below `count`."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def local_rows(self, rows_BT: Tensor) -> Tensor:
        """Return this process's rows of a batch. Raises UserError if some process would get
        none."""
        if len(rows_BT) < self.size:
            raise UserError(
                f"a batch of {len(rows_BT)} rows is too small for {self.size} processes",
                "start fewer processes, or raise batch_size in the recipe",
            )
        return rows_BT.tensor_split(self.size)[self.rank]


@contextmanager
def join_processes() -> Iterator[World]:
    """Join the process group that torchrun's environment variables describe, if there is one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    gpus = torch.cuda.is_available()
    if gpus:  # each process uses its own GPU, which "cuda" then means in it
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=TIMEOUT)
    world = World(dist.get_rank(), size, int(os.environ.get("LOCAL_WORLD_SIZE", size)))
    try:
        yield world
    except ReportedError:
        # torchrun stops all processes when one ends. The main one still saves and prints; when it
        # has left, waiting for it fails.
        with suppress(RuntimeError):
            world.barrier()
        raise
    finally:
        dist.destroy_process_group()
