"""The bodies of API requests: OpenAI's fields, and the additional sampling options of the engine.

Known fields with an invalid value are refused. `unsupported_fields.py` decides about all others.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from firstwords.inference.sampling import Sampling

MAX_CHARACTERS = 200_000  # of a message: far beyond any context
MAX_CHOICES = 8
MAX_STOP_TEXTS = 4
MAX_PROMPTS = 64


def _replace_surrogates(value: Any) -> Any:
    """Replace halves of UTF-16 pairs, which JavaScript leaves when it cuts an emoji in two."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Text = Annotated[str, Field(max_length=MAX_CHARACTERS), BeforeValidator(_replace_surrogates)]
StopText = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(_replace_surrogates)]


class SamplingFields(BaseModel):
    """The fields that chat and text completions share."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str | None = Field(default=None, max_length=200)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=100_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: StopText | Annotated[list[StopText], Field(fail_fast=True)] | None = Field(default=None)
    stream: bool | None = None
    stream_options: "StreamOptions | None" = None
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)

    @field_validator("stop")
    @classmethod
    def _limit_stop_texts(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > MAX_STOP_TEXTS:
            raise ValueError(f"at most {MAX_STOP_TEXTS} stop texts are allowed")
        return value

    def sampling(self, max_tokens: int, seed: int) -> Sampling:
        """Return the sampling options; a field that is not set gets the engine's default."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        fields: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
        }
        set_fields = {name: value for name, value in fields.items() if value is not None}
        return Sampling(**set_fields, max_tokens=max_tokens, seed=seed, stop=tuple(stops))


class StreamOptions(BaseModel):
    """Options of a streamed response."""

    include_usage: bool | None = None


class TextPart(BaseModel):
    """A part of a message's content. Only text is supported."""

    type: Literal["text"]
    text: Text


class FunctionCall(BaseModel):
    """The function that another model called, and its arguments."""

    name: Text
    arguments: Text = ""


class ToolCall(BaseModel):
    """A call of a tool in an assistant message; its result is a later message of the role tool."""

    id: str = Field(max_length=200)
    function: FunctionCall

    @property
    def text(self) -> str:
        return f"{self.function.name}({self.function.arguments})"


class AnswerCall(BaseModel):
    """A call of the calculator in an answer of this server: `input` is the expression, `output` the
    result, and `offset` how many characters of the content come before the call."""

    name: Literal["calculator"] = "calculator"
    input: Text
    output: Text
    offset: int = Field(default=0, ge=0)


class AnswerDetails(BaseModel):
    """What an answer of this server has beside its content."""

    tool_calls: Annotated[list[AnswerCall], Field(fail_fast=True)] = []


class ChatMessage(BaseModel):
    """A message of a conversation. Only the assistant's may have no content, as an answer of tool
    calls alone has none. `firstwords` is that of an answer, sent back."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | Annotated[list[TextPart], Field(fail_fast=True)] | None = None
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True)] | None = None
    tool_call_id: str | None = None
    firstwords: AnswerDetails | None = None

    @model_validator(mode="after")
    def _require_content(self) -> "ChatMessage":
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a {self.role} message needs content, which is missing or null")
        return self

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""

    @property
    def answer_calls(self) -> list[AnswerCall]:
        return self.firstwords.tool_calls if self.firstwords else []


class ChatRequest(SamplingFields):
    """The body of POST /v1/chat/completions. `tool_calls_as_text` leaves the calls of the
    calculator in the answer's content."""

    messages: Annotated[list[ChatMessage], Field(fail_fast=True)] = Field(
        min_length=1, max_length=1000
    )
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tool_calls_as_text: bool | None = None

    @field_validator("top_logprobs")
    @classmethod
    def _require_logprobs(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and not info.data.get("logprobs"):
            raise ValueError('also send "logprobs": true')
        return value


# fail_fast: describing the errors of a list of 400,000 invalid items would take minutes.
TokenIds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(fail_fast=True)]
Prompts = (
    Text
    | Annotated[list[Text], Field(fail_fast=True)]
    | TokenIds
    | Annotated[list[TokenIds], Field(fail_fast=True)]
)


class CompletionRequest(SamplingFields):
    """The body of POST /v1/completions. A prompt is text or token ids, or a list of either."""

    prompt: Prompts
    max_tokens: int | None = Field(default=None, ge=0, le=1_000_000)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None

    @field_validator("prompt")
    @classmethod
    def _limit_prompts(cls, value: Prompts) -> Prompts:
        if isinstance(value, list) and not value:
            raise ValueError("the prompt is empty")
        if isinstance(value, list) and len(value) > MAX_PROMPTS and not isinstance(value[0], int):
            raise ValueError(f"at most {MAX_PROMPTS} prompts are allowed")
        return value

    def prompts(self) -> list[str] | list[list[int]]:
        """Return the prompts as a list, also where the request has just one."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return self.prompt
