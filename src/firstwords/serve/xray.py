"""POST /xray/look: the document of an X-ray, for the page at /xray."""

import asyncio
import json
from typing import Annotated

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

from firstwords.errors import UserError
from firstwords.inference.sampling import Sampling
from firstwords.recipe import STAGES, Stage
from firstwords.serve.errors import ApiError
from firstwords.serve.limits import LOOK
from firstwords.serve.models import Models
from firstwords.serve.schema import MOST_CHARACTERS
from firstwords.xray.look import Ask, Subject, document
from firstwords.xray.subjects import steps

MOST_GENERATED = 256


class LookRequest(BaseModel):
    """What to look at: a text in some stages of a run, by default the furthest of the newest."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    run: str | None = Field(default=None, max_length=200)
    stages: Annotated[list[Stage], Field(min_length=1, max_length=len(STAGES))] | None = None
    text: str = Field(max_length=MOST_CHARACTERS)
    chat: bool = False
    generate: int = Field(default=0, ge=0, le=MOST_GENERATED)
    temperature: float = Field(default=0.7, ge=0, le=2)
    top_k: int = Field(default=50, ge=0, le=100_000)
    top_p: float = Field(default=0.95, gt=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**32)

    def ask(self) -> Ask:
        sampling = Sampling(
            temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, seed=self.seed
        )
        return Ask(self.text, self.chat, self.generate, sampling)


def add(app: FastAPI, models: Models) -> None:
    """Looks take turns, in a thread: whoever chats meanwhile goes on."""
    turn = asyncio.Lock()

    @app.post(LOOK, response_class=Response)
    async def look(asked: LookRequest) -> Response:
        """What the model does with a text: `firstwords/xray/look.py` tells what is in it."""
        async with turn:
            text = await asyncio.to_thread(_look, models, asked)
        return Response(text, media_type="application/json")


def _look(models: Models, asked: LookRequest) -> str:
    models.refresh()
    run, stages = _chosen(models, asked)
    try:
        subjects = [_subject(models, f"{run}-{stage}") for stage in stages]
        seen = document(run, subjects, asked.ask())
    except UserError as error:
        raise ApiError(400, str(error)) from None
    return json.dumps(seen, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _chosen(models: Models, asked: LookRequest) -> tuple[str, list[Stage]]:
    """The run, and its stages in their order. Raises ApiError where there is none."""
    entries = list(models.entries.values())
    run = asked.run or (entries[0].run.name if entries else "")
    own = [entry.stage for entry in entries if entry.run.name == run]
    if not own:
        raise ApiError(404, f"there is no run {run!r} with a checkpoint", param="run")
    stages = [stage for stage in STAGES if stage in (asked.stages or own[:1])]
    if missing := [stage for stage in stages if stage not in own]:
        raise ApiError(404, f"run {run} has no checkpoint of {missing[0]} yet", param="stages")
    return run, stages


def _subject(models: Models, name: str) -> Subject:
    entry, loaded = models.entries[name], models.load(name)
    of = steps(entry.run, entry.stage)
    return Subject(entry.stage, loaded.step, of, loaded.model, loaded.tokenizer)
