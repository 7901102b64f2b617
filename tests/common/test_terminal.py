"""Text that a terminal would obey, and standard streams that are closed, broken or not UTF-8."""

import json
import os
import pty
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import LIMIT_SECONDS

from firstwords.common.terminal import printable

PREPARE = (
    "import sys; from firstwords.common import console, terminal; terminal.prepare_streams()\n"
)
ATTACK = "a\x1b[2J\x1b]52;c;cm0=\x07\x9b31m\x85\u202eb\u2066\rc\x7f\ud800"


def run(code: str, shell: str = "", **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = ["bash", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, PREPARE + code]
    return subprocess.run(command, capture_output=True, timeout=LIMIT_SECONDS, **options)


def on_terminal(code: str) -> str:
    """Run a program whose output is a terminal, and return what it writes there."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE + code],
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(terminal)
    written = b""
    try:
        while chunk := os.read(main, 65_536):
            written += chunk
    except OSError:  # the terminal's last process has ended
        pass
    os.close(main)
    assert process.wait(60) == 0, written
    return written.decode()


@given(st.text(st.characters(codec=None), max_size=40))
def test_no_control_characters_are_left_and_the_text_can_be_restored(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    if not set(text) & set('\\"\n\t'):
        assert json.loads(f'"{shown}"') == text


def test_lines_tabs_and_other_scripts_stay() -> None:
    text = "one\n\ttwo 今天 😀 é שלום\u200f 👩\u200d👧\n"
    assert printable(text) == text
    assert printable("one\r\ntwo") == "one\ntwo"


def test_what_is_printed_cannot_act_on_a_terminal() -> None:
    code = f"""
attack = {ATTACK!r}
terminal.echo(attack, bold=True)
console.header(attack), console.say(attack), console.warn(attack)
with console.progress(attack, 2, attack) as meter:
    meter.advance(1, attack)
from rich.table import Table
table = Table(attack); table.add_row(attack); console.PlainConsole(file=sys.stdout).print(table)
from firstwords.cli.main import run_command
run_command(["plan", "--time", attack])
"""
    written = on_terminal(code)
    assert written.count("\\u001b[2J") >= 5
    for dangerous in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\u202e", "\u2066", "\rc"):
        assert dangerous not in written
    assert "\x1b[1m" in written  # styles are ours


def test_text_in_a_pipe_is_as_it_is() -> None:
    assert run("terminal.echo('a\\x1b[31m\\r\\nb')").stdout == b"a\x1b[31m\r\nb\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_is_valid_in_every_encoding(encoding: str) -> None:
    text = 'é 今天 😀 "\ud800\\'
    code = f"import json; terminal.echo(json.dumps({text!r}, ensure_ascii=False))"
    done = run(code, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert json.loads(done.stdout.decode(encoding)) == text, done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/null 2>/dev/full"])
def test_closed_streams_are_no_error(closed: str, tmp_path: Any) -> None:
    """A file that is opened first must not become the stream of its number."""
    code = f"""
file = open({str(tmp_path / "file")!r}, "w")
assert file.fileno() > 2
assert sys.stdin.read() == ""
terminal.echo("out"); console.say("message"); sys.stderr.write("more"); file.write("file")
"""
    stdin = "" if "<" in closed else "</dev/null"
    done = run(code, f"{closed} {stdin}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_text() == "file"


def test_messages_vanish_when_their_reader_has_ended() -> None:
    """Of `firstwords train 2>&1 | head -1` the training must not stop."""
    code = """
import os
read, write = os.pipe(); os.dup2(write, 2); os.close(read); os.close(write)
for number in range(3): console.say("message")
terminal.echo("done")
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, b"done\n")
