"""A site file: what to train, the job that trains it, and the cluster it runs on.

`firstwords slurm init` writes one with every field and what it is for.
"""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from firstwords.errors import UserError
from firstwords.recipe import Fixed, parse_toml
from firstwords.slurm.values import (
    Mail,
    Memory,
    Module,
    Name,
    Option,
    Proxy,
    RecipeField,
    RecipeSource,
    RecipeValue,
    Seed,
    ShellPath,
    Source,
    Time,
    Word,
    expanded,
    expanded_recipe,
    expanded_source,
)
from firstwords.start import Request

OF_THE_SITE = {  # options of sbatch that have a field of their own
    "--job-name": "run.name",
    "--account": "cluster.account",
    "--partition": "cluster.partition",
    "--qos": "cluster.qos",
    "--nodes": "job.nodes",
    "--ntasks": "job.processes",
    "--ntasks-per-node": "job.processes",
    "--gres": "job.gpus",
    "--gpus": "job.gpus",
    "--gpus-per-node": "job.gpus",
    "--cpus-per-task": "job.cpus",
    "--mem": "job.memory",
    "--time": "job.limit",
    "--signal": "job.warning",
    "--requeue": "job.on_limit",
    "--no-requeue": "job.on_limit",
    "--array": "[[sweep]]",
    "--mail-user": "cluster.mail",
    "--mail-type": "cluster.mail",
    "--output": "paths.home",
    "--error": "paths.home",
    "--open-mode": "paths.home",
    "--dependency": "job.on_limit",
}


class Choices(Fixed):
    """The options of `firstwords train` that a sweep may vary."""

    data: Source | None = None
    chat_data: Source | None = None
    seed: Seed | None = None
    recipe: RecipeSource | None = None
    set: dict[RecipeField, RecipeValue] = Field(default_factory=dict)


class Training(Choices):
    """[run]: what is trained."""

    name: Name
    time: Time

    def changes(self) -> tuple[str, ...]:
        """What --set is given."""
        return tuple(f"{name}={value}" for name, value in self.set.items())

    def request(self) -> Request:
        """The same for this process. Raises UserError for a variable that is not set."""
        return Request(
            name=self.name,
            seconds=self.time,
            data=expanded_source(self.data),
            chat_data=expanded_source(self.chat_data),
            seed=self.seed,
            recipe=expanded_recipe(self.recipe),
            changes=self.changes(),
        )


class Variant(Choices):
    """[[sweep]]: what one run of a sweep has in place of what [run] says."""

    name: Name
    time: Time | None = None

    def of(self, run: Training) -> Training:
        own = self.model_dump(exclude_none=True, exclude={"name", "set"})
        both = {"name": f"{run.name}-{self.name}", "set": run.set | self.set}
        return run.model_copy(update=own | both)


class Job(Fixed):
    """[job]: what Slurm is asked for. `gpus`, `processes`, `cpus` and `memory` are of each node."""

    nodes: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0)
    gpu_type: Word | None = None
    processes: int = Field(default=0, ge=0)  # 0: one for each GPU, or one
    cpus: int = Field(ge=1)
    memory: Memory = "0"
    limit: Time
    warning: Time = 300.0
    on_limit: Literal["requeue", "chain"] = "requeue"
    at_once: int = Field(default=0, ge=0)  # runs of a sweep; 0: all

    @model_validator(mode="after")
    def _fits_together(self) -> "Job":
        if self.limit % 60:
            raise ValueError("limit must be whole minutes, as Slurm counts them")
        if self.limit < 2 * self.warning:
            raise ValueError("limit must be at least twice the warning, or little is trained")
        if self.gpus and self.processes > self.gpus:
            raise ValueError("processes must be at most gpus: each takes a GPU of its own")
        if self.cpus < self.processes_of_node:
            raise ValueError("cpus must be at least one for each process")
        if self.gpu_type and not self.gpus:
            raise ValueError("gpu_type is given, but gpus is 0; say how many each node has")
        return self

    @property
    def processes_of_node(self) -> int:
        return self.processes or self.gpus or 1

    @property
    def processes_in_all(self) -> int:
        return self.nodes * self.processes_of_node

    @property
    def usable_seconds(self) -> float:
        return self.limit - self.warning


class Cluster(Fixed):
    """[cluster]: whom it is for, and what its nodes have."""

    account: Word | None = None
    partition: Word | None = None
    qos: Word | None = None
    options: tuple[Option, ...] = ()
    modules: tuple[Module, ...] = ()
    mail: Mail | None = None
    internet: Literal["none", "proxy", "direct"] = "none"
    proxy: Proxy | None = None
    interface: Word | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "Cluster":
        if (self.internet == "proxy") != bool(self.proxy):
            raise ValueError('internet = "proxy" and the address in proxy belong together')
        for option in self.options:
            if field := OF_THE_SITE.get(option.partition("=")[0]):
                raise ValueError(f"options: {option} has a field of its own, {field}; use that")
        return self


class Paths(Fixed):
    """[paths], as the compute nodes see them."""

    python: ShellPath
    home: ShellPath
    scratch: ShellPath | None = None


class Site(Fixed):
    run: Training
    job: Job
    cluster: Cluster = Cluster()
    paths: Paths
    sweep: tuple[Variant, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> "Site":
        names = [variant.name for variant in self.sweep]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two of [[sweep]] are named {name}; give each a name of its own")
        return self

    @property
    def runs(self) -> tuple[Training, ...]:
        """Those of the sweep, by their number in the array; or the one."""
        return tuple(variant.of(self.run) for variant in self.sweep) or (self.run,)

    @property
    def home(self) -> Path:
        return expanded(self.paths.home)

    @property
    def folder(self) -> Path:
        """Where script, logs and job numbers go."""
        return self.home / "jobs" / self.run.name

    def jobs_for(self, seconds: float) -> int:
        """So many jobs one after the other train for `seconds`."""
        return max(1, math.ceil(seconds / self.job.usable_seconds))

    def chain(self, seconds: float) -> int:
        """How many jobs to submit for them. The last of several is to spare: it ends at once if
        the run is finished."""
        jobs = self.jobs_for(seconds)
        return 1 if jobs == 1 or self.job.on_limit == "requeue" else jobs + 1


def read_site(path: Path) -> Site:
    """Raises UserError, which names the field and how to mend it."""
    try:
        document = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"--site {path}", f"no such file; firstwords slurm init {path} writes one to fill in"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--site {path}", f"it cannot be read ({error})") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML ({error})", "mend that line") from None
    try:
        return Site.model_validate(document)
    except ValidationError as error:
        raise _mistake(path, error) from None


def _mistake(path: Path, error: ValidationError) -> UserError:
    """The first mistake, in words that a site's author knows."""
    first = error.errors()[0]
    *outer, last = first["loc"] or ("the file",)
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    says = {
        "missing": f"is missing; add {last} = ..., or see firstwords slurm init",
        "extra_forbidden": f"there is no such field; {_fields_of(outer)}",
    }
    message = says.get(first["type"], first["msg"].removeprefix("Value error, "))
    return UserError(f"{path}, {where}", message)


def _fields_of(location: list[Any]) -> str:
    tables: dict[str, type[BaseModel]] = {
        "run": Training,
        "job": Job,
        "cluster": Cluster,
        "paths": Paths,
        "sweep": Variant,
    }
    if not location:
        return f"a site file has the tables {', '.join(tables)}"
    return f"{location[0]} has {', '.join(tables[location[0]].model_fields)}"
