"""The site file: what to train, the job that trains it, and the cluster it runs on.

`firstwords slurm init` writes one with every field and its description. Needs no torch.
"""

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse_toml
from firstwords.slurm.field_types import (
    DataSources,
    MailAddress,
    Memory,
    Module,
    Proxy,
    RecipeField,
    RecipeSource,
    RecipeValue,
    RunName,
    SbatchOption,
    Seed,
    ShellPath,
    Time,
    Word,
    expand_path,
)

# Options of sbatch that the script sets itself, and the field that determines each.
FIELD_OF_SBATCH_OPTION = {
    "--job-name": "run.name",
    "--account": "cluster.account",
    "--partition": "cluster.partition",
    "--qos": "cluster.qos",
    "--nodes": "job.nodes",
    "--ntasks": "job.processes_per_node",
    "--ntasks-per-node": "job.processes_per_node",
    "--gres": "job.gpus_per_node",
    "--gpus": "job.gpus_per_node",
    "--gpus-per-node": "job.gpus_per_node",
    "--cpus-per-task": "job.cpus_per_node",
    "--mem": "job.memory_per_node",
    "--time": "job.time_limit",
    "--signal": "job.save_time",
    "--requeue": "job.on_time_limit",
    "--no-requeue": "job.on_time_limit",
    "--array": "[[sweep]]",
    "--mail-user": "cluster.mail_user",
    "--mail-type": "cluster.mail_user",
    "--output": "paths.home",
    "--error": "paths.home",
    "--open-mode": "paths.home",
    "--dependency": "job.on_time_limit",
}


class TrainOptions(FrozenModel):
    """The options of `firstwords train` that may differ between the runs of a sweep."""

    data: DataSources | None = None
    chat_data: DataSources | None = None
    seed: Seed | None = None
    recipe: RecipeSource | None = None
    set: dict[RecipeField, RecipeValue] = Field(default_factory=dict)


class RunConfig(TrainOptions):
    """[run]: what to train."""

    name: RunName
    time: Time

    def overrides(self) -> tuple[str, ...]:
        """Return the values of `--set`."""
        return tuple(f"{name}={value}" for name, value in self.set.items())


class SweepEntry(TrainOptions):
    """[[sweep]]: how one run of a sweep differs from [run]."""

    name: RunName
    time: Time | None = None

    def apply_to(self, run: RunConfig) -> RunConfig:
        """Return the run of this entry, named `RUN-ENTRY`; its `set` extends that of the run."""
        changes = self.model_dump(exclude_none=True, exclude={"name", "set"})
        name, overrides = f"{run.name}-{self.name}", run.set | self.set
        return run.replace(**changes, name=name, set=overrides)


class JobConfig(FrozenModel):
    """[job]: the resources that the job requests, and what happens at its time limit."""

    nodes: int = Field(default=1, ge=1)
    gpus_per_node: int = Field(default=0, ge=0)
    gpu_type: Word | None = None
    processes_per_node: int = Field(default=0, ge=0)  # 0: one per GPU, or one without GPUs
    cpus_per_node: int = Field(ge=1)  # cores
    memory_per_node: Memory = "0"
    time_limit: Time
    save_time: Time = 300.0  # seconds before the limit at which training saves and stops
    on_time_limit: Literal["requeue", "chain"] = "requeue"
    max_concurrent_runs: int = Field(default=0, ge=0)  # of a sweep; 0: no maximum

    @model_validator(mode="after")
    def _fields_agree(self) -> "JobConfig":
        if self.time_limit % 60:
            raise ValueError("time_limit must be whole minutes, as Slurm counts them")
        if self.time_limit < 2 * self.save_time:
            raise ValueError("time_limit must be at least twice save_time")
        if self.gpus_per_node and self.processes_per_node > self.gpus_per_node:
            raise ValueError("processes_per_node must be at most gpus_per_node")
        if self.cpus_per_node < self.local_processes:
            raise ValueError("cpus_per_node must be at least one for each process")
        if self.gpu_type and not self.gpus_per_node:
            raise ValueError("gpu_type needs gpus_per_node; set it, or remove gpu_type")
        return self

    @property
    def local_processes(self) -> int:
        """Processes on each node."""
        return self.processes_per_node or self.gpus_per_node or 1

    @property
    def world_size(self) -> int:
        """Processes on all nodes."""
        return self.nodes * self.local_processes

    @property
    def training_seconds(self) -> float:
        """Seconds that one job can train before it has to save."""
        return self.time_limit - self.save_time


class ClusterConfig(FrozenModel):
    """[cluster]: account and queue, and what the nodes provide."""

    account: Word | None = None
    partition: Word | None = None
    qos: Word | None = None
    sbatch_options: tuple[SbatchOption, ...] = ()
    modules: tuple[Module, ...] = ()
    mail_user: MailAddress | None = None
    internet: Literal["none", "proxy", "direct"] = "none"
    proxy: Proxy | None = None
    network_interface: Word | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> "ClusterConfig":
        if (self.internet == "proxy") != bool(self.proxy):
            raise ValueError('set both internet = "proxy" and the address in proxy, or neither')
        for option in self.sbatch_options:
            if field := FIELD_OF_SBATCH_OPTION.get(option.partition("=")[0]):
                raise ValueError(f"sbatch_options must not contain {option}; use {field} instead")
        return self


class PathsConfig(FrozenModel):
    """[paths]: paths as the compute nodes see them."""

    python: ShellPath
    home: ShellPath
    scratch: ShellPath | None = None


class Site(FrozenModel):
    """A whole site file."""

    run: RunConfig
    job: JobConfig
    cluster: ClusterConfig = ClusterConfig()
    paths: PathsConfig
    sweep: tuple[SweepEntry, ...] = ()

    @model_validator(mode="after")
    def _sweep_names_differ(self) -> "Site":
        names = [entry.name for entry in self.sweep]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two [[sweep]] entries are named {name}; give each its own name")
        return self

    @property
    def runs(self) -> tuple[RunConfig, ...]:
        """The runs of the sweep in the order of array tasks, or the single run."""
        return tuple(entry.apply_to(self.run) for entry in self.sweep) or (self.run,)

    @property
    def home(self) -> Path:
        """The expanded $FIRSTWORDS_HOME of the job. Raises UserError."""
        return expand_path(self.paths.home)

    @property
    def job_folder(self) -> Path:
        """The directory of the batch script, the logs and the job ids."""
        return self.home / "jobs" / self.run.name

    def jobs_needed(self, seconds: float) -> int:
        """Return how many jobs in sequence it takes to train for `seconds`."""
        return max(1, math.ceil(seconds / self.job.training_seconds))

    def chain_length(self, seconds: float) -> int:
        """Return how many jobs to submit in order to train for `seconds`.

        One, if a single job is enough or requeues itself. A chain has a spare job at its end, which
        exits at once if the run is finished.
        """
        n_jobs = self.jobs_needed(seconds)
        return 1 if n_jobs == 1 or self.job.on_time_limit == "requeue" else n_jobs + 1


def read_site(path: Path) -> Site:
    """Read a site file. Raises UserError that names the first wrong field."""
    try:
        document = parse_toml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(
            f"--site {path} does not exist", f"create it with: firstwords slurm init {path}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--site {path} cannot be read ({error})", "use a readable TOML file in UTF-8"
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML ({error})", "fix that line") from None
    try:
        return Site.model_validate(document)
    except ValidationError as error:
        raise _field_error(path, error) from None


def _field_error(path: Path, error: ValidationError) -> UserError:
    """Return the first validation error as a UserError about a field of the site file."""
    first = error.errors()[0]
    *outer, last = first["loc"] or ("the file",)
    field = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "missing":
        return UserError(
            f"{path}: {field} is missing", f"add {last} = ..., or see firstwords slurm init"
        )
    if first["type"] == "extra_forbidden":
        return UserError(f"{path}: {field} is not a known field", _known_fields(outer))
    value, message = first["input"], first["msg"].removeprefix("Value error, ")
    shown = f" = {json.dumps(value)}" if isinstance(value, str | int | float) else ""
    return UserError(f"{path}: {field}{shown} is not valid", message[:1].lower() + message[1:])


def _known_fields(table: list[Any]) -> str:
    tables: dict[str, type[BaseModel]] = {
        "run": RunConfig,
        "job": JobConfig,
        "cluster": ClusterConfig,
        "paths": PathsConfig,
        "sweep": SweepEntry,
    }
    if not table:
        return f"a site file has the tables {', '.join(tables)}"
    return f"{table[0]} has the fields {', '.join(tables[table[0]].model_fields)}"
