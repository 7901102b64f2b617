"""What runs inside the sandbox: the program and its tests, in two processes with two pipes.

The driver runs the tests, which come with the benchmark. The function that they call is a proxy:
it sends the arguments to the candidate, the process of the program, and receives what the
program's function returned. Nothing else passes between them. So a program can only pass by
answering as its tests expect: the tests and the verdict are not in its process, and what it
returns arrives as plain data, without methods of its own.

Messages are lines of JSON. Python runs this file by its path, without the package.
"""

import builtins
import json
import resource
import sys
from collections.abc import Callable, Set
from contextlib import suppress
from types import ModuleType
from typing import Any, TextIO

MESSAGE_CHARACTERS = 64 << 20
JSON_INTEGER_LIMIT = 1 << 63  # Python converts larger ones of up to 4300 digits only
DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda digits: int(digits, 16),
    "complex": lambda parts: complex(*parts),
    "bytes": bytes.fromhex,
    "tuple": lambda items: tuple(map(decode, items)),
    "set": lambda items: set(map(decode, items)),
    "frozenset": lambda items: frozenset(map(decode, items)),
    "dict": lambda pairs: {decode(key): decode(value) for key, value in pairs},
}


class CandidateError(Exception):
    """The program raised an exception that tests cannot expect; the message is its name."""


class CandidateEnded(BaseException):
    """The program's process ended without an answer; no test can expect that."""


def encode(value: object) -> Any:
    """Return a value as JSON: a list or a constant as itself, any other as {its type: content}.

    Raises TypeError if it is not plain data.
    """
    match value:
        case None | bool() | float() | str():
            return value
        case int():
            return value if abs(value) < JSON_INTEGER_LIMIT else {"int": hex(value)}
        case complex():
            return {"complex": [value.real, value.imag]}
        case bytes() | bytearray():
            return {"bytes": value.hex()}
        case list():
            return [encode(item) for item in value]
        case tuple() | frozenset():
            kind = "tuple" if isinstance(value, tuple) else "frozenset"
            return {kind: [encode(item) for item in value]}
        case Set():  # a dictionary's keys, too, equal a set
            return {"set": [encode(item) for item in value]}
        case dict():
            return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    raise TypeError(f"not plain data: {type(value).__name__}")


def decode(data: Any) -> Any:
    """Return the value that `encode` made into JSON."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if isinstance(data, dict):
        ((kind, content),) = data.items()
        return DECODERS[kind](content)
    return data


def run_candidate(requests: TextIO, replies: TextIO) -> None:
    """Run the program in the first request; call its function with the arguments in the others."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    function: Any = None
    for line in requests:
        request = json.loads(line)
        try:
            if function is None:
                exec(compile(request["program"], "program.py", "exec"), module.__dict__)
                function = module.__dict__[request["entry_point"]]
                value = None
            else:
                value = function(*decode(request["arguments"]), **decode(request["keywords"]))
            reply = json.dumps({"value": encode(value)})
        except BaseException as error:
            reply = json.dumps({"error": type(error).__name__})
        print(reply, file=replies, flush=True)


def run_driver(requests: TextIO, replies: TextIO) -> None:
    """Run the tests that are on stdin; write the verdict to stdout.

    A candidate that ended leaves the reason empty.
    """
    job, stdout, sys.stdout = json.load(sys.stdin), sys.stdout, sys.stderr

    def ask(**request: object) -> Any:
        try:
            print(json.dumps(request), file=requests, flush=True)
            line = replies.readline(MESSAGE_CHARACTERS)
        except BrokenPipeError:
            raise CandidateEnded from None
        if not line.endswith("\n"):
            raise CandidateEnded
        reply = json.loads(line)
        if "error" in reply:
            raise _exception(reply["error"])
        return decode(reply["value"])

    def candidate(*arguments: object, **keywords: object) -> Any:
        return ask(arguments=encode(list(arguments)), keywords=encode(keywords))

    passed, reason = False, ""
    try:
        ask(program=job["program"], entry_point=job["entry_point"])
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(job["tests"], "tests.py", "exec"), namespace)
        namespace[job["entry_point"]] = candidate
        namespace["check"](candidate)
        passed = True
    except CandidateEnded:
        pass
    except Exception as error:
        reason = str(error) if isinstance(error, CandidateError) else type(error).__name__
    json.dump({"passed": passed, "reason": reason}, stdout)


def _exception(name: str) -> Exception:
    """Return the candidate's exception to raise in the tests. They only see an Exception: another,
    such as SystemExit, would end them early."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with suppress(TypeError):  # UnicodeDecodeError needs its arguments
            return kind()
    return CandidateError(name[:100] if name.isidentifier() else "?")


def main(role: str, read_end: str, write_end: str, tasks: str) -> None:
    """Run one of the two processes, which may have so many threads; 0 is no limit."""
    if int(tasks):
        resource.setrlimit(resource.RLIMIT_NPROC, (int(tasks), int(tasks)))
    reader = open(int(read_end), encoding="ascii")  # noqa: PTH123, SIM115
    writer = open(int(write_end), "w", encoding="ascii")  # noqa: PTH123, SIM115
    if role == "driver":
        run_driver(writer, reader)
    else:
        run_candidate(reader, writer)


if __name__ == "__main__":
    main(*sys.argv[1:])
