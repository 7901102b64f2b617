"""Refuse a plan that the machine has too little time, memory or disk space for."""

from firstwords.common import paths
from firstwords.common.errors import UserError
from firstwords.common.units import format_size
from firstwords.planning import estimates
from firstwords.recipe import Recipe

MIN_BUDGET_SECONDS = 30.0
MAX_BUDGET_OVERRUN = 1.1


def check_budget(seconds: float) -> None:
    """Raise UserError if a budget is too short on any machine."""
    if seconds < MIN_BUDGET_SECONDS:
        raise UserError(
            f"--time {seconds:g}s is too short",
            f"use at least {MIN_BUDGET_SECONDS:g}s (10m gives a model you can chat with)",
        )


def check_estimated_time(seconds: float, needed: float) -> None:
    """Raise UserError if even the fewest steps of the smallest model take too long."""
    if needed > MAX_BUDGET_OVERRUN * seconds:
        raise UserError(
            f"--time {seconds:g}s is too short for this machine", f"use at least {round(needed)}s"
        )


def check_memory(needed: float, available: float, purpose: str) -> None:
    """Raise UserError if `purpose` needs more bytes of memory than are available."""
    if needed > available:
        raise UserError(
            f"not enough memory: {purpose} needs {format_size(needed)}, and "
            f"{format_size(available)} are available",
            "close other programs, or raise the limit of the container, the job or ulimit -v",
        )


def check_resources(recipe: Recipe, memory: float, processes: int = 1) -> None:
    """Raise UserError if a recipe needs more memory per process, or more disk space, than there
    is."""
    check_memory(estimates.memory_bytes(recipe, processes), memory, "the model")
    needed, free = estimates.disk_bytes(recipe), paths.free_disk(paths.home())
    if needed > free:
        raise UserError(
            f"not enough disk space: the run needs {format_size(needed)}, and {format_size(free)} "
            f"are free in {paths.home()}",
            "free some space, or set FIRSTWORDS_HOME to a directory on another disk",
        )
