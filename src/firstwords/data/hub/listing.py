"""List the named corpora, and which of their files are on this machine."""

from typing import Any

from firstwords.common.units import format_size
from firstwords.data.hub import catalogue, manifest
from firstwords.data.hub.catalogue import EVAL, CatalogueEntry

EVAL_ABOUT = "the published benchmarks: CORE, BLiMP, ARC, MMLU, GSM8K, HumanEval"
EVAL_BYTES = 225_000_000


def list_corpora() -> dict[str, dict[str, Any]]:
    """Return by name every corpus of the catalogue, the benchmarks' data, and corpora unpacked
    under other names."""
    corpora = {name: _catalogue_row(e) for name, e in catalogue.load_catalogue().items()}
    corpora[EVAL] = {"about": EVAL_ABOUT, "kind": "benchmarks", "default_bytes": EVAL_BYTES}
    for name in manifest.list_fetched():
        corpora.setdefault(name, {"about": "unpacked from a bundle", "kind": "unknown"})
    return {name: row | {"fetched": _fetched_row(name)} for name, row in corpora.items()}


def _catalogue_row(entry: CatalogueEntry) -> dict[str, Any]:
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


def _fetched_row(name: str) -> dict[str, Any] | None:
    """Return what was fetched, judged by file sizes alone, or None."""
    folder = manifest.corpus_folder(name)
    fetched = manifest.read_manifest(folder)
    if fetched is None:
        return None
    intact = [f for f in fetched.files if manifest.check_size(folder, f) == "intact"]
    return {
        "folder": str(folder),
        "revision": fetched.revision,
        "files": len(intact),
        "missing": len(fetched.files) - len(intact),
        "bytes": sum(f.bytes for f in intact),
    }


def render_corpora(corpora: dict[str, dict[str, Any]]) -> str:
    """Return the list of corpora as text."""
    return "\n".join(_render_corpus(name, row) for name, row in corpora.items())


def _render_corpus(name: str, row: dict[str, Any]) -> str:
    lines = [f"{name:14} {row['about']}"]
    if "shards" in row:
        lines.append(
            f"{row['kind']}; about {format_size(row['default_bytes'])} by default "
            f"({row['default_shards']} of {row['shards']:,} shards; "
            f"{format_size(row['all_bytes'])} in all); licence: {row['licence']}"
        )
    elif "default_bytes" in row:
        lines.append(f"{row['kind']}; about {format_size(row['default_bytes'])}")
    lines.append(_render_fetched(row["fetched"]) if row["fetched"] else "not fetched")
    return f"\n{'':15}".join(lines)


def _render_fetched(fetched: dict[str, Any]) -> str:
    missing = f", {fetched['missing']} missing" if fetched["missing"] else ""
    size = format_size(fetched["bytes"])
    return f"fetched: {fetched['files']} files, {size}{missing}, in {fetched['folder']}"
