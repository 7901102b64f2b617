"""The program that runs a reward of the user's own. It needs Python's own modules alone.

It is a process of its own, so that a reward that never returns can be stopped and one that crashes
takes nothing with it. It is the user's code on the user's machine: nothing confines it.
"""

import functools
import importlib.util
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "own_reward"


def serve_rewards(connection: Connection, path: Path) -> None:
    """Send the prompts that the file lists, or None; then answer each (conversation, answer) with a
    reward. Whatever is sent is ("ok", value) or ("error", what is wrong)."""
    kind, module = _attempt(path, lambda: _load(path))
    connection.send((kind, _prompts(module) if kind == "ok" else module))
    while kind == "ok":
        try:
            conversation, answer = connection.recv()
        except EOFError:
            return
        reward = functools.partial(module.reward, conversation, answer)
        connection.send(_attempt(path, lambda: _number(path, reward())))  # noqa: B023


def _attempt(path: Path, call: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "ok", call()
    except WrongReward as error:
        return "error", str(error)
    except SyntaxError as error:
        return "error", f"{path}, line {error.lineno}: {error.msg}"
    except (Exception, SystemExit) as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return "error", f"{_location(path, error)}: {message[:200]}"


class WrongReward(Exception):
    """The file lacks what it needs, or the function returned no number."""


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, path.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses look their module up
    sys.dont_write_bytecode = True  # no __pycache__ beside the user's file
    sys.path.insert(0, str(path.absolute().parent))
    spec.loader.exec_module(module)
    if not callable(getattr(module, "reward", None)):
        raise WrongReward(f"{path} has no function reward(conversation, answer)")
    prompts = getattr(module, "QUESTIONS", None)
    if prompts is not None and not _are_prompts(prompts):
        raise WrongReward(f"{path}: QUESTIONS is not a list of texts, at least one")
    return module


def _are_prompts(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and len(value) > 0
    return is_list and all(isinstance(one, str) and one.strip() for one in value)


def _prompts(module: ModuleType) -> list[str] | None:
    prompts = getattr(module, "QUESTIONS", None)
    return None if prompts is None else list(prompts)


def _number(path: Path, value: Any) -> float:
    """Return the reward as a float: a number, or something like one, such as NumPy's."""
    try:
        number = float(value) if not isinstance(value, str | bytes) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise WrongReward(f"{path}: reward returned {str(value)[:40]!r}, which is no finite number")
    return number


def _location(path: Path, error: BaseException) -> str:
    """Return the innermost line of the user's file in the error's traceback."""
    own = path.resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve() == own:
            return f"{path}, line {frame.lineno}"
    return str(path)


def _exit_with_parent(parent: int) -> None:
    """End this process once its parent is gone, also while a reward does not return."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Serve rewards on the connection whose descriptor the command line gives."""
    path, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    del sys.path[0]  # this file's own directory, whose modules are not the user's
    parent = os.getppid()
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    serve_rewards(Connection(descriptor), path)


if __name__ == "__main__":
    main()
