"""The manifest of a run, run.json."""

from datetime import datetime, timezone
from typing import Any

from pydantic import Field

from firstwords.common.schema import FrozenModel
from firstwords.data.mixing import SourceSpec, format_source
from firstwords.data.starter.personality import Personality
from firstwords.recipe import Recipe, Stage


class Sources(FrozenModel):
    """Where a run reads text and conversations from: `starter`, a path, `hub:NAME`, or several of
    them, each with its share: `family.jsonl:0.3`, `starter:0.7`."""

    data: SourceSpec = "starter"
    chat_data: SourceSpec = "starter"

    @property
    def text_line(self) -> str:
        """The source of text in one line."""
        return format_source(self.data)

    @property
    def chat_line(self) -> str:
        """The source of conversations in one line."""
        return format_source(self.chat_data)


class Origin(FrozenModel):
    """The model that a run starts from instead of random weights: that of another run, of which
    start/ has a copy."""

    run: str
    stage: Stage
    step: int
    weights: str  # SHA-256 of model.safetensors
    # Seed that decides which records of own files are held out: that of the first run, or the new
    # run would be measured on what the model was trained on.
    file_seed: int

    def __str__(self) -> str:
        return f"{self.run}, {self.stage}, step {self.step:,}"


class Manifest(FrozenModel):
    """What a run is: written to run.json when it starts, and never changed."""

    firstwords: str  # version that started the run
    created: str  # start time, UTC
    time: float = Field(gt=0)  # time budget in seconds
    sources: Sources  # sources of text and conversations: `data`, `chat_data`
    origin: Origin | None = None  # the model that the run starts from; random weights if none
    personality: Personality | None = None  # as which the starter conversations speak
    recipe: Recipe  # every hyper-parameter
    machine: dict[str, Any]  # processor, memory, system, versions
    predicted: dict[str, Any]  # estimates of the plan; empty if a recipe was given


def now() -> str:
    """Return the current time in UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
