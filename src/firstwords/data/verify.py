"""Find files of fetched data that are missing, or not what was fetched."""

from collections.abc import Sequence
from typing import Any

from firstwords import console
from firstwords.data import catalogue, contents
from firstwords.data.catalogue import EVAL
from firstwords.errors import UserError


def verify(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By name: the folder, how many files are whole, and the others with what is wrong. Without
    names, all that is here. Raises UserError if one is not."""
    return {name: _verify(name) for name in names or contents.present()}


def _verify(name: str) -> dict[str, Any]:
    folder = contents.folder_of(name)
    there = contents.read(folder)
    if there is None:
        known = name == EVAL or name in catalogue.entries()
        mend = contents.mend(name) if known else "firstwords data list names what is"
        raise UserError(f"{name} is not here", mend)
    states = contents.states(f"reading {name}", folder, there.files)
    found = dict(zip((file.path for file in there.files), states, strict=True))
    problems = {path: state for path, state in found.items() if state != "whole"}
    return {
        "folder": str(folder),
        "files": len(found),
        "whole": len(found) - len(problems),
        "bytes": sum(file.bytes for file in there.files),
        "problems": problems,
        "mend": mend_of(name) if problems else None,
    }


def mend_of(name: str) -> str:
    if name == EVAL or name in catalogue.entries():
        return contents.mend(name)
    return "firstwords data unbundle, with the archive that it came from"


def render(found: dict[str, dict[str, Any]]) -> str:
    if not found:
        return "nothing has been fetched yet; firstwords data list says what there is"
    return "\n".join(_render(name, one) for name, one in found.items())


def _render(name: str, one: dict[str, Any]) -> str:
    size = console.size(one["bytes"])
    if not one["problems"]:
        return f"{name}: {one['files']} files, {size}, all whole"
    lines = [f"{name}: {len(one['problems'])} of {one['files']} files are not whole"]
    lines += [f"  {state}: {one['folder']}/{path}" for path, state in one["problems"].items()]
    return "\n".join([*lines, f"  mend it with: {one['mend']}"])
