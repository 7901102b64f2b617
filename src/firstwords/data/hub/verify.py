"""Verify fetched data: read every file and find those that are missing or damaged."""

from collections.abc import Sequence
from typing import Any

from firstwords.common.errors import UserError
from firstwords.common.units import format_size
from firstwords.data.hub import catalogue, manifest
from firstwords.data.hub.catalogue import EVAL


def verify_corpora(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Verify these corpora, or without names all that were fetched.

    Returns by name the folder, the number of intact files, the problems by path, and the command
    that fixes them. Raises UserError if one was not fetched.
    """
    return {name: _verify_corpus(name) for name in names or manifest.list_fetched()}


def _verify_corpus(name: str) -> dict[str, Any]:
    folder = manifest.corpus_folder(name)
    fetched = manifest.read_manifest(folder)
    if fetched is None:
        raise UserError(
            f"{name} was not fetched",
            f"first run: {manifest.fetch_command(name)}"
            if _is_known(name)
            else "list the known corpora with firstwords data list",
        )
    states = manifest.check_files(f"verifying {name}", folder, fetched.files)
    state_of = dict(zip((file.path for file in fetched.files), states, strict=True))
    problems = {path: state for path, state in state_of.items() if state != "intact"}
    return {
        "folder": str(folder),
        "files": len(state_of),
        "intact": len(state_of) - len(problems),
        "bytes": sum(file.bytes for file in fetched.files),
        "problems": problems,
        "hint": _fix_command(name) if problems else None,
    }


def _is_known(name: str) -> bool:
    return name == EVAL or name in catalogue.load_catalogue()


def _fix_command(name: str) -> str:
    if _is_known(name):
        return manifest.fetch_command(name)
    return "firstwords data unbundle with the bundle it was unpacked from"


def render_verification(results: dict[str, dict[str, Any]]) -> str:
    """Return the results of a verification as text."""
    if not results:
        return "nothing was fetched yet; list the known corpora with firstwords data list"
    return "\n".join(_render_result(name, result) for name, result in results.items())


def _render_result(name: str, result: dict[str, Any]) -> str:
    problems, n_files = result["problems"], result["files"]
    if not problems:
        return f"{name}: {n_files} files, {format_size(result['bytes'])}, all intact"
    lines = [f"{name}: {len(problems)} of {n_files} files are missing or damaged"]
    lines += [f"  {state}: {result['folder']}/{path}" for path, state in problems.items()]
    return "\n".join([*lines, f"  to fix this, run: {result['hint']}"])
