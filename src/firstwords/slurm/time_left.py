"""How long a run still has to train. Needs no torch."""

from firstwords.runs import phases, registry
from firstwords.slurm.site import RunConfig


def seconds_left(config: RunConfig) -> float:
    """Estimate the seconds that a run still needs, from its plan or else from its time budget."""
    directory = registry.runs_home() / config.name
    if not registry.run_exists(directory):
        return config.time
    run = registry.open_run_directory(directory)
    unfinished = phases.unfinished(run)
    if not unfinished:
        return 0.0
    if run.manifest.predicted:
        return phases.seconds_left(run, unfinished[0])
    return max(0.0, config.time - run.total_seconds())
