"""The JSON files of a run that commands read, and what each must hold.

A file that is missing or damaged counts as absent, and one line says so: what is only for reading
never stops a command, and what is needed is made again.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from firstwords.common import console
from firstwords.common.errors import DamagedFile
from firstwords.common.schema import check_json
from firstwords.recipe import Stage

Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(allow_inf_nan=False, strict=True, gt=0)]
Count = Annotated[int, Field(ge=0, strict=True)]
Interval = tuple[Number, Number]


class Document(BaseModel):
    """A JSON object with at least the declared fields."""

    model_config = ConfigDict(extra="allow")


class StepMetrics(Document):
    """A line of metrics/STAGE.jsonl."""

    step: Annotated[int, Field(ge=1, strict=True)]
    loss: Number
    lr: Number
    seconds: Positive
    grad_norm: Number
    update_norm: Number | None


class Timing(Document):
    """The time and memory of a phase, in timings.json."""

    seconds: Annotated[float, Field(allow_inf_nan=False, strict=True, ge=0)]
    peak_memory: Number


class TokenizerStats(Document):
    """tokenizer/stats.json."""

    class Rates(Document):
        """Bytes per token of each kind of text."""

        train: Number
        held_out: Number
        chat: Number

    vocab_size: Count
    trained_on_bytes: Number
    bytes_per_token: Rates
    sha256: str  # of tokenizer.json


class Answer(Document):
    """A prompt and what the model made of it."""

    prompt: str
    kind: str
    answer: str


class Sample(Document):
    """samples/STAGE-STEP.json."""

    class Bits(Document):
        """Bits per byte of a little held-out text."""

        score: Number
        ci95: Interval

    stage: Stage
    step: Count
    bits_per_byte: Bits
    samples: Annotated[list[Answer], Field(min_length=1)]


class Score(Document):
    """The score of a task or of one of its categories."""

    title: str
    score: Number
    chance: Number
    ci95: Interval
    n: Count


class BitsPerByte(Score):
    """The task that every evaluation has."""

    text_bytes: Count
    categories: dict[str, Score]


class ExamScore(Score):
    """The exam."""

    class Category(Score):
        """A kind of question."""

        note: str

    categories: Annotated[dict[str, Category], Field(min_length=1)]
    empty: Count
    broken_call: Count


class BenchmarkScore(Score):
    """A published benchmark."""

    categories: dict[str, Score] = {}


class Unscored(Document):
    """A benchmark that has no data, was refused or failed."""

    title: str
    absent: str | None = None
    refused: str | None = None
    error: str | None = None

    @model_validator(mode="after")
    def _has_reason(self) -> "Unscored":
        if self.absent is self.refused is self.error is None:
            raise ValueError("there is neither a score nor a reason")
        return self


class Evaluation(Document):
    """evaluation/STAGE.json."""

    class Tasks(Document):
        """The results by task."""

        bits_per_byte: BitsPerByte
        exam: ExamScore | None = None
        __pydantic_extra__: dict[str, BenchmarkScore | Unscored]

    stage: Stage
    step: Count
    tasks: Tasks
    chat_loss: Number
    samples: list[Answer]


class AnswerRecord(Document):
    """A line of evaluation/STAGE.exam.jsonl or STAGE.babble.jsonl."""

    class Message(Document):
        """A message of the prompt."""

        role: str
        content: str

    category: str
    correct: bool
    prompt: list[Message] | str  # plain text for the pretrained model
    reference: str
    answer: str
    problem: str = ""  # of an answer to an open prompt


def read_or_none(kind: Any, path: Path) -> Any:
    """Return the value of a JSON file, or None if it is missing or not valid as a `kind`."""
    try:
        return check_json(kind, path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        console.warn_once(f"{path} cannot be read ({error.strerror}); ignoring it")
    except DamagedFile as damage:
        console.warn_once(f"{path} is damaged ({damage}); ignoring it")
    return None


def read_valid_lines(kind: Any, path: Path, is_complete: bool = False) -> list[Any]:
    """Return the values of the lines of a JSON Lines file that are valid as a `kind`.

    Nothing is said of an incomplete last line, since its writer may be at work; with `is_complete`,
    for a file whose lines are added whole, it is damaged as any other.
    """
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        console.warn_once(f"{path} cannot be read ({error.strerror}); ignoring it")
        return []
    values, n_damaged = [], 0
    for line in [*lines, last]:
        try:
            values.append(check_json(kind, line))
        except DamagedFile:
            n_damaged += line is not last or (is_complete and last != b"")
    if n_damaged:
        n_lines = len(lines) + (last != b"")
        console.warn_once(f"{path} is damaged; ignoring {n_damaged} of its {n_lines} lines")
    return values
