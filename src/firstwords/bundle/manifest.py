"""The manifest of a bundle: its files with sizes and checksums, and the options of `train`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from firstwords.common.schema import FrozenModel
from firstwords.data.hub.catalogue import EVAL
from firstwords.data.hub.manifest import SafePath, Sha256
from firstwords.data.mixing import SourceSpec

BUNDLE_MANIFEST = "firstwords-bundle.json"
BUNDLE_CHECKSUM = "firstwords-bundle.sha256"


def unit_of(path: str) -> str:
    """Return the directory that is moved into place as a whole: data/NAME, eval or runs/NAME."""
    parts = path.split("/")
    return "/".join(parts[: 1 if parts[0] == EVAL else 2])


def check_in_unit(path: str) -> str:
    """Return the path if it is inside a unit. Raises ValueError otherwise."""
    if path.split("/")[0] not in ("data", EVAL, "runs") or path == unit_of(path):
        raise ValueError(f"{path[:80]!r} is not a path inside data/NAME, eval or runs/NAME")
    return path


class BundleFile(FrozenModel):
    """A file of a bundle."""

    path: Annotated[SafePath, AfterValidator(check_in_unit)]  # in $FIRSTWORDS_HOME
    bytes: int = Field(ge=0)
    sha256: Sha256

    @property
    def unit(self) -> str:
        return unit_of(self.path)


class BundleManifest(FrozenModel):
    """The contents of firstwords-bundle.json."""

    format: Literal[1] = 1
    firstwords: str  # version that wrote it
    run: str | None = None
    data: SourceSpec | None = None  # --data and --chat-data of `train` on the other machine
    chat_data: SourceSpec | None = None
    files: tuple[BundleFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)
