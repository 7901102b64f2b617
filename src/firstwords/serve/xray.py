"""POST /xray/inspect: the X-ray document that the page at /xray shows. POST /xray/count: whether a
text fits."""

import asyncio
import json
import sys
from typing import Annotated, Literal

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

from firstwords.common.errors import UserError
from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray.inspect_run import (
    InspectedModel,
    InspectRequest,
    inspect_text,
    tokenize_request,
)
from firstwords.recipe import STAGES, Stage
from firstwords.serve.errors import ApiError
from firstwords.serve.middleware import XRAY_COUNT_PATH, XRAY_PATH
from firstwords.serve.model_pool import ModelPool
from firstwords.serve.schema import MAX_CHARACTERS, Text
from firstwords.serve.threads import run_in_thread

MAX_GENERATED = 256


class ConversationMessage(BaseModel):
    """A message of a conversation to inspect. The last one may be an answer."""

    role: Literal["system", "user", "assistant"]
    content: Text


class XrayRequest(BaseModel):
    """A text or the messages of a conversation, and the stages of a run to run it through. The
    default is the latest stage of the newest run that is finished. `token` is the token to select:
    its number in the text or in the last message."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    run: str | None = Field(default=None, max_length=200)
    stages: Annotated[list[Stage], Field(min_length=1, max_length=len(STAGES))] | None = None
    text: Text = ""
    messages: list[ConversationMessage] | None = Field(default=None, min_length=1, max_length=1000)
    token: int | None = Field(default=None, ge=0, le=MAX_CHARACTERS)
    chat: bool = False
    generate: int = Field(default=0, ge=0, le=MAX_GENERATED)
    temperature: float = Field(default=Sampling().temperature, ge=0, le=2)
    top_k: int = Field(default=Sampling().top_k, ge=0, le=100_000)
    top_p: float = Field(default=Sampling().top_p, gt=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**32)

    def to_inspect_request(self) -> InspectRequest:
        sampling = Sampling(
            temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, seed=self.seed
        )
        messages = None
        if self.messages is not None:
            messages = [message.model_dump() for message in self.messages]
        return InspectRequest(self.text, self.chat, self.generate, sampling, messages, self.token)


def add_xray_endpoint(app: FastAPI, models: ModelPool) -> None:
    """Add the endpoint. X-rays run one after the other in a thread, so that chats stay fast."""
    lock = asyncio.Lock()

    @app.post(XRAY_PATH, response_class=Response)
    async def inspect(body: XrayRequest) -> Response:
        """Show what the model does with a text. `firstwords/inspect/xray/inspect_run.py` describes
        the document."""
        async with lock:
            text = await run_in_thread(_inspect, models, body)
        return Response(text, media_type="application/json")

    @app.post(XRAY_COUNT_PATH)
    async def count(body: XrayRequest) -> dict[str, int]:
        """Count the tokens of a text as `/xray/inspect` reads it, and those of the context."""
        return await run_in_thread(_count, models, body)


def _count(models: ModelPool, request: XrayRequest) -> dict[str, int]:
    run, stages = _resolve_stages(models, request)
    loaded = models.load(f"{run}-{stages[0]}")
    tokens = 0
    if request.messages or request.text.strip():
        inspected = request.to_inspect_request()
        try:
            tokens = len(tokenize_request(inspected, loaded.tokenizer, sys.maxsize).tokens)
        except UserError as error:
            raise ApiError(400, str(error)) from None
    return {"tokens": tokens, "context": loaded.context}


def _inspect(models: ModelPool, request: XrayRequest) -> str:
    models.refresh()
    run, stages = _resolve_stages(models, request)
    try:
        inspected = [_load(models, f"{run}-{stage}") for stage in stages]
        xray = inspect_text(run, inspected, request.to_inspect_request())
    except UserError as error:
        raise ApiError(400, str(error)) from None
    return json.dumps(xray, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _resolve_stages(models: ModelPool, request: XrayRequest) -> tuple[str, list[Stage]]:
    """Return the run and its stages in order. Raises ApiError if one has no checkpoint."""
    available = list(models.available.values())
    run = request.run or (available[0].run.name if available else "")
    existing = [info.stage for info in available if info.run.name == run]
    if not existing:
        raise ApiError(404, f"no run {run!r} with a checkpoint", param="run")
    stages = [stage for stage in STAGES if stage in (request.stages or existing[:1])]
    if missing := [stage for stage in stages if stage not in existing]:
        raise ApiError(404, f"run {run} has no checkpoint of {missing[0]} yet", param="stages")
    return run, stages


def _load(models: ModelPool, name: str) -> InspectedModel:
    info, loaded = models.available[name], models.load(name)
    n_steps = info.run.recipe.stage(info.stage).steps
    return InspectedModel(info.stage, loaded.step, n_steps, loaded.model, loaded.tokenizer)
