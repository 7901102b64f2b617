"""The folder in which a learner works on a lab."""

import importlib.util
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.common.schema import read_document
from firstwords.labs.lab import Lab
from firstwords.labs.random_config import CONFIG, random_config_text

PREDICTION = "prediction.toml"


class StartedFiles(NamedTuple):
    """Names of the files that `start_lab` created, and of those that existed and stay unchanged."""

    created: list[str]
    existing: list[str]


def start_lab(lab: Lab, path: Path) -> StartedFiles:
    """Create the lab's files in `path`, except those that exist. Raises UserError."""
    if path.exists() and not path.is_dir():
        raise UserError(f"--dir {path} is a file", "name a directory; it is created if missing")
    texts = {file.name: file.read_text(encoding="utf-8") for file in lab.templates}
    texts[PREDICTION] = prediction_template(lab)
    if lab.has_random_model:
        texts[CONFIG] = random_config_text()
    started = StartedFiles([], [])
    for name, text in texts.items():
        if (path / name).exists():
            started.existing.append(name)
            continue
        try:
            files.write_text(path / name, text)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise UserError(
                f"cannot write {path / name} ({error.strerror})",
                "choose another directory with --dir",
            ) from None
        started.created.append(name)
    return started


def prediction_template(lab: Lab) -> str:
    """Return the questions with empty answers, as TOML."""
    questions = (f'# {question}\n{name} = ""\n' for name, question in lab.predict.items())
    return (
        f"# Lab {lab.number}: {lab.title}.\n#\n"
        "# What do you expect? Before you run the check, write it between the quotation marks: a\n"
        "# number, a word or a sentence. Any prediction passes; an empty one does not.\n\n"
        + "\n".join(questions)
    )


class LabFolder:
    """Reads the files of a learner's folder. Every method raises UserError if a file is missing or
    is not of the expected form."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.lab, self.path = lab, path
        if not path.is_dir():
            raise UserError(
                f"lab {lab.number}: the directory {path} does not exist",
                f"create it with: firstwords lab start {lab.number}, or name it with --dir",
            )

    def file(self, name: str) -> Path:
        """Return the path of a file that exists."""
        path = self.path / name
        if not path.is_file():
            raise UserError(
                f"lab {self.lab.number}: {path} is missing",
                f"restore it with: firstwords lab start {self.lab.number} --dir {self.path}",
            )
        return path

    def predictions(self) -> dict[str, str]:
        """Return the learner's predictions by name, empty where none is written."""
        document = read_document(self.file(PREDICTION))
        return {name: _as_text(document.get(name, "")) for name in self.lab.predict}

    def document(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON or TOML file that holds an object."""
        path = self.file(name)
        document = read_document(path)
        if not isinstance(document, dict):
            raise UserError(f"{path} is not an object", "write names and values as in the template")
        return document

    def json_lines(self, name: str) -> list[Any]:
        """Return the values of a JSON Lines file, without blank lines."""
        path, values = self.file(name), []
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 ({error})", "convert it") from None
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    values.append(json.loads(line))
                except ValueError as error:
                    raise UserError(
                        f"{path}, line {number} is not JSON ({error})", "fix the line"
                    ) from None
        return values

    def module(self, name: str) -> ModuleType:
        """Execute a Python file of the learner and return its module."""
        path = self.file(name)
        spec = importlib.util.spec_from_file_location(f"lab_{path.stem}", path.absolute())
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        with _no_bytecode():
            try:
                spec.loader.exec_module(module)
            except SyntaxError as error:
                location = f"{path}, line {error.lineno}" if error.lineno else str(path)
                raise UserError(f"{location}: {error.msg}", "fix the syntax") from None
            except (Exception, SystemExit) as error:
                location = self.learner_line(error) or str(path)
                raise UserError(
                    f"{location}: {type(error).__name__}: {error}",
                    "fix it so that the file can be imported",
                ) from None
        return module

    def function(self, name: str, function: str) -> Any:
        """Return a function of a Python file of the learner."""
        value = getattr(self.module(name), function, None)
        if not callable(value):
            raise UserError(f"{self.path / name} has no function {function}", "add it again")
        return value

    def learner_line(self, error: BaseException) -> str:
        """Return the innermost line of the learner's code in an error's traceback, else ""."""
        folder = self.path.absolute()
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if folder in Path(frame.filename).parents:
                return f"{self.path / Path(frame.filename).name}, line {frame.lineno}"
        return ""


def error_location(error: BaseException) -> str:
    """Return the line that raised an error."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}, line {last.lineno}"


def _as_text(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(str(one).strip() for one in values)


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Leave no __pycache__ in the learner's folder."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
