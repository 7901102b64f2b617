"""What there is by name: the catalogue beside what is here of it."""

from typing import Any

from firstwords import console
from firstwords.data import catalogue, contents
from firstwords.data.catalogue import EVAL, Entry

EVAL_ABOUT = "the published benchmarks: CORE, ARC, MMLU, GSM8K, HumanEval"
EVAL_BYTES = 200_000_000


def known() -> dict[str, dict[str, Any]]:
    """Every name of the catalogue, the benchmarks, and what was unpacked under other names."""
    rows = {name: _of_entry(entry) for name, entry in catalogue.entries().items()}
    rows[EVAL] = {"about": EVAL_ABOUT, "kind": "benchmarks", "default_bytes": EVAL_BYTES}
    for name in contents.present():
        rows.setdefault(name, {"about": "unpacked from a bundle", "kind": "unknown"})
    return {name: row | {"here": _here(name)} for name, row in rows.items()}


def _of_entry(entry: Entry) -> dict[str, Any]:
    return {
        "about": entry.about,
        "kind": entry.kind,
        "repository": entry.repository,
        "revision": entry.revision,
        "licence": entry.licence,
        "shards": entry.all_shards,
        "default_shards": entry.shards,
        "default_bytes": entry.shards * entry.shard_bytes,
        "all_bytes": entry.all_shards * entry.shard_bytes,
    }


def _here(name: str) -> dict[str, Any] | None:
    """Files by their sizes alone: `data verify` reads them."""
    folder = contents.folder_of(name)
    there = contents.read(folder)
    if there is None:
        return None
    whole = [f for f in there.files if contents.state_by_size(folder, f) == "whole"]
    return {
        "folder": str(folder),
        "revision": there.revision,
        "files": len(whole),
        "missing": len(there.files) - len(whole),
        "bytes": sum(f.bytes for f in whole),
    }


def render(rows: dict[str, dict[str, Any]]) -> str:
    return "\n".join(_render(name, row) for name, row in rows.items())


def _render(name: str, row: dict[str, Any]) -> str:
    lines = [f"{name:14} {row['about']}"]
    if "shards" in row:
        lines.append(
            f"{row['kind']}; about {console.size(row['default_bytes'])} by default "
            f"({row['default_shards']} of {row['shards']:,} shards, "
            f"{console.size(row['all_bytes'])} in all); {row['licence']}"
        )
    elif "default_bytes" in row:
        lines.append(f"{row['kind']}; about {console.size(row['default_bytes'])}")
    here = row["here"]
    lines.append(_render_here(here) if here else "not here")
    return f"\n{'':15}".join(lines)


def _render_here(here: dict[str, Any]) -> str:
    missing = f", {here['missing']} missing" if here["missing"] else ""
    return (
        f"here: {here['files']} files, {console.size(here['bytes'])}{missing} in {here['folder']}"
    )
