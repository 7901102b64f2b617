"""The folder in which a learner works on a lab."""

import importlib.util
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from firstwords import files
from firstwords.errors import UserError
from firstwords.labs.drawn import CONFIG, config_text
from firstwords.labs.lab import Lab
from firstwords.recipe import read_document

PREDICTION = "prediction.toml"


class Made(NamedTuple):
    """Names of files that a start made, and of those that were there and stay as they are."""

    new: list[str]
    kept: list[str]


def start(lab: Lab, path: Path) -> Made:
    """Put the lab's files into `path`, but for those that are there. Raises UserError."""
    if path.exists() and not path.is_dir():
        raise UserError(f"--dir {path}", "it is a file; name a directory, or one to be made")
    texts = {file.name: file.read_text(encoding="utf-8") for file in lab.templates}
    texts[PREDICTION] = prediction_file(lab)
    if lab.draws_model:
        texts[CONFIG] = config_text()
    made = Made([], [])
    for name, text in texts.items():
        if (path / name).exists():
            made.kept.append(name)
            continue
        try:
            files.write_text(path / name, text)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise UserError(
                f"cannot write {path / name} ({error.strerror})", "name another place with --dir"
            ) from None
        made.new.append(name)
    return made


def prediction_file(lab: Lab) -> str:
    """The questions with empty answers, as TOML."""
    asked = (f'# {question}\n{name} = ""\n' for name, question in lab.predict.items())
    return (
        f"# Lab {lab.number}: {lab.title}.\n#\n"
        "# What do you expect? Write it down before you run the check, as a number, a word or a\n"
        "# sentence between the quotation marks. Any prediction passes, an empty one does not.\n\n"
        + "\n".join(asked)
    )


class Folder:
    """What is in it, read and checked for form. Everything raises UserError for a file that is
    missing or cannot be read as what it should be."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.lab, self.path = lab, path
        if not path.is_dir():
            raise UserError(
                f"lab {lab.number}: there is no folder {path}",
                f"make it with: firstwords lab start {lab.number}, or name it with --dir",
            )

    def file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise UserError(
                f"lab {self.lab.number}: {path} is missing",
                f"firstwords lab start {self.lab.number} --dir {self.path} adds it again",
            )
        return path

    def predictions(self) -> dict[str, str]:
        """What the learner expects, by name; empty where nothing was written."""
        written = read_document(self.file(PREDICTION))
        return {name: _in_words(written.get(name, "")) for name in self.lab.predict}

    def document(self, name: str) -> dict[str, Any]:
        """A JSON or TOML file that holds an object."""
        path = self.file(name)
        document = read_document(path)
        if not isinstance(document, dict):
            raise UserError(str(path), "it must hold names with values; see the template")
        return document

    def json_lines(self, name: str) -> list[Any]:
        path, found = self.file(name), []
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise UserError(str(path), f"not UTF-8 ({error}); convert it") from None
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    found.append(json.loads(line))
                except ValueError as error:
                    raise UserError(f"{path}, line {number}", f"not JSON ({error})") from None
        return found

    def module(self, name: str) -> ModuleType:
        """A Python file of the learner's, run."""
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
                place = f"{path}, line {error.lineno}" if error.lineno else str(path)
                raise UserError(place, f"{error.msg}; mend it") from None
            except (Exception, SystemExit) as error:
                said = f"{type(error).__name__}: {error}; mend it"
                raise UserError(self.own_line(error) or str(path), said) from None
        return module

    def function(self, name: str, function: str) -> Any:
        """A function in a Python file of the learner's."""
        found = getattr(self.module(name), function, None)
        if not callable(found):
            raise UserError(f"{self.path / name}", f"it has no function {function}; add it again")
        return found

    def own_line(self, error: BaseException) -> str:
        """The last line of the learner's that an error came through; empty if it was none."""
        inside = self.path.absolute()
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if inside in Path(frame.filename).parents:
                return f"{self.path / Path(frame.filename).name}, line {frame.lineno}"
        return ""


def line_of(error: BaseException) -> str:
    """The line where an error came up."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}, line {last.lineno}"


def _in_words(value: Any) -> str:
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


class Jammed(Exception):
    """The learner's code takes far too long."""


@contextmanager
def within(most: int, what: str) -> Iterator[None]:
    """Raise Jammed inside Python code that runs more than `most` lines in this block: an endless
    loop ends where it is. Lines, unlike seconds, are the same on every machine."""
    lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        if lines > most:
            raise Jammed(f"{what} comes to no end")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)
