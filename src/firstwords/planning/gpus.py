"""GPUs that a plan can be estimated for: their speed, memory and price, from data sheets.

No figure is measured. The speed rests on one assumption, the fraction of the data sheet's FLOPs
that training uses.
"""

import re
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse, read_document

GPUS_FILE = Path(__file__).with_name("gpus.toml")
GPU_UTILIZATION = 0.4  # of the data sheet's FLOPs, counting the model's own FLOPs only
GPUS_PER_NODE = 8
INTER_NODE_EFFICIENCY = 0.9  # more than one node: some time goes to the network; not measured yet
PROVIDERS = ("large_clouds", "specialists", "marketplaces")


class GpuSpec(FrozenModel):
    """A kind of GPU. The fields are explained in gpus.toml."""

    teraflops: float = Field(gt=0)
    memory_gb: float = Field(gt=0)
    large_clouds: tuple[float, float] | None = None
    specialists: tuple[float, float] | None = None
    marketplaces: tuple[float, float] | None = None

    @property
    def price_ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest dollars per GPU hour, by kind of provider."""
        ranges = {name: getattr(self, name) for name in PROVIDERS}
        return {name.replace("_", " "): prices for name, prices in ranges.items() if prices}


class GpuGroup(NamedTuple):
    """A number of GPUs of one kind."""

    number: int
    name: str
    spec: GpuSpec

    @property
    def flops_per_second(self) -> float:
        """The FLOPs per second that training is assumed to get from all of them."""
        efficiency = INTER_NODE_EFFICIENCY if self.number > GPUS_PER_NODE else 1.0
        return self.number * self.spec.teraflops * 1e12 * GPU_UTILIZATION * efficiency

    def __str__(self) -> str:
        return f"{self.number}x{self.name}"


def load_gpus() -> dict[str, GpuSpec]:
    """Load the kinds of GPU in gpus.toml, by name."""
    document = read_document(GPUS_FILE)
    return {name: parse(GpuSpec, spec, GPUS_FILE) for name, spec in document.items()}


def parse_gpus(text: str) -> GpuGroup:
    """Parse a group of GPUs written like 8xH100. Raises UserError."""
    specs = load_gpus()
    names = {name.lower(): name for name in specs}
    match = re.fullmatch(r"(?:([1-9][0-9]{0,3})x)?(\w+)", text.strip(), re.IGNORECASE)
    name = names.get(match[2].lower()) if match else None
    if match is None or name is None:
        raise UserError(
            f"--estimate-for {text} names no GPUs with a known data sheet",
            f"write it like 8xH100; the known GPUs are {', '.join(specs)}",
        )
    return GpuGroup(int(match[1] or 1), name, specs[name])


# The node that plans, reports and docs compare with, and what a GPU hour of it costs: the middle of
# the specialists' range.
REFERENCE_NODE = parse_gpus(f"{GPUS_PER_NODE}xH100")
REFERENCE_NODE_FLOPS_PER_SECOND = REFERENCE_NODE.flops_per_second
REFERENCE_DOLLARS_PER_GPU_HOUR = sum(REFERENCE_NODE.spec.price_ranges["specialists"]) / 2
