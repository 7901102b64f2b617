"""Where the project's documents are: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
IN_WHEEL = PACKAGE / "documents"  # scripts/wheel_documents.py puts them there
IN_CHECKOUT = PACKAGE.parents[1]


def find_documents() -> Path | None:
    """Return the directory that holds docs/ and mkdocs.yml, or None if they are not installed."""
    for root in (IN_WHEEL, IN_CHECKOUT):
        if (root / "mkdocs.yml").is_file() and (root / "docs" / "index.md").is_file():
            return root
    return None


def document_path(name: str) -> str:
    """Return the path of a document, such as docs/labs/README.md, from the current directory; its
    name if the documents are not installed."""
    root = find_documents()
    if root is None:
        return name
    path, here = root / name, Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
