"""What differs between runs: recipe, data, machine and version of Firstwords."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from firstwords.runs.manifest import Manifest
from firstwords.runs.run import Run

SECTIONS = {  # of a manifest: the title of each kind of difference
    "recipe": "recipe",
    "sources": "data",
    "origin": "starts from",
    "personality": "personality",
    "time": "time budget",
    "machine": "machine",
    "firstwords": "version",
}


class Difference(NamedTuple):
    """A value that is not the same in all runs; None where a run does not have it."""

    section: str
    name: str  # such as optimizer.matrix_lr
    values: list[Any]  # one for each run


def run_differences(runs: list[Run]) -> list[Difference]:
    """Return what differs between the manifests of runs, in the order of the manifest."""
    manifests = [dict(_flat(run.manifest)) for run in runs]
    names = dict.fromkeys(name for manifest in manifests for name in manifest)
    found = [(name, [manifest.get(name) for manifest in manifests]) for name in names]
    return [
        Difference(SECTIONS[section], name, values)
        for section in SECTIONS
        for (of, name), values in found
        if of == section and any(value != values[0] for value in values)
    ]


def _flat(manifest: Manifest) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield ((section, dotted name), value) of everything that a person would compare."""
    document = manifest.model_dump(include=set(SECTIONS))
    if manifest.origin:
        document["origin"] = str(manifest.origin)
    for section, value in document.items():
        for name, leaf in _leaves(value, ""):
            yield (section, name or section), leaf


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))
