"""What requests may hold: OpenAI's fields, and the engine's own beside them.

Fields that are not known are passed over, since clients send many; those that are known and wrong
are refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from firstwords.inference.sampling import Sampling

MOST_CHARACTERS = 200_000  # of a message: far beyond any context
MOST_CHOICES = 8
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: str | None = Field(default=None, max_length=200)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=100_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Stop | list[Stop] | None = Field(default=None)
    stream: bool | None = None
    stream_options: "StreamOptions | None" = None
    n: int | None = Field(default=None, ge=1, le=MOST_CHOICES)
    user: str | None = Field(default=None, max_length=500)

    @field_validator("stop")
    @classmethod
    def _few(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > 4:
            raise ValueError("at most 4 stop texts")
        return value

    def sampling(self, max_tokens: int, seed: int) -> Sampling:
        """How to choose; what the request does not say is the engine's default."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
        }
        known: dict[str, Any] = {n: value for n, value in given.items() if value is not None}
        return Sampling(**known, max_tokens=max_tokens, seed=seed, stop=tuple(stops))


class StreamOptions(BaseModel):
    include_usage: bool = False


class TextPart(BaseModel):
    type: Literal["text"]
    text: str = Field(max_length=MOST_CHARACTERS)


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=MOST_CHARACTERS)] | list[TextPart]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatRequest(_Request):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)


Ids = list[Annotated[int, Field(ge=0, lt=2**31)]]


class CompletionRequest(_Request):
    """POST /v1/completions. A prompt is text or tokens, or a list of either."""

    prompt: Annotated[str, Field(max_length=MOST_CHARACTERS)] | list[str] | Ids | list[Ids]
    max_tokens: int | None = Field(default=None, ge=0, le=1_000_000)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None
    suffix: str | None = Field(default=None, max_length=MOST_CHARACTERS)

    @field_validator("prompt")
    @classmethod
    def _some(cls, value: str | list[str] | Ids | list[Ids]) -> str | list[str] | Ids | list[Ids]:
        if isinstance(value, list) and not value:
            raise ValueError("the prompt is empty")
        if isinstance(value, list) and len(value) > 64 and not isinstance(value[0], int):
            raise ValueError("at most 64 prompts")
        return value

    def prompts(self) -> list[str] | list[list[int]]:
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return self.prompt
