"""The package from its wheel alone, in a bare environment: with what its metadata asks for, and no
checkout.

The environment is a new one whose packages are links to those that the tests run with: only the
distributions that the wheel requires, found by their metadata as pip would.
"""

import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import httpx
import pytest
from end_to_end import Bench
from packaging.requirements import Requirement
from waiting import LIMIT_SECONDS

from firstwords import __version__

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
RELATIVE_LINK = re.compile(r"\]\((?!https?:)")

pytestmark = pytest.mark.slow


class BareEnvironment:
    """A virtual environment with the wheel and the packages that it requires."""

    def __init__(self, directory: Path, wheel: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", str(directory))
        self.directory, self.python = directory, directory / "bin" / "python"
        (self.packages,) = directory.glob("lib/python*/site-packages")
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(self.python)]
        run(*pip, "install", "--no-deps", "--no-index", str(wheel))
        (info,) = self.packages.glob("firstwords-*.dist-info")
        self.wheel = Distribution.at(info)
        self.add("")

    def add(self, extra: str) -> None:
        """Link the packages that the wheel requires with an extra."""
        for name in required(self.wheel, extra):
            for file in distribution(name).files or []:
                link = self.packages / file.parts[0]
                if file.parts[0] not in ("..", "__pycache__") and not link.exists():
                    link.symlink_to(Path(str(distribution(name).locate_file(file.parts[0]))))


def required(top: Distribution, extra: str) -> set[str]:
    """Return the names of all packages that a distribution requires, directly or indirectly."""
    found: set[str] = set()
    waiting = [(top, extra)]
    while waiting:
        one, extra = waiting.pop()
        for requirement in map(Requirement, one.requires or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            waiting += [(distribution(requirement.name), e) for e in requirement.extras]
            if requirement.name not in found:
                found.add(requirement.name)
                waiting.append((distribution(requirement.name), ""))
    return found


def run(*command: str, **options: Any) -> str:
    options = {"capture_output": True, "text": True, "timeout": LIMIT_SECONDS} | options
    done = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-c", BUILD, str(folder), cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> BareEnvironment:
    return BareEnvironment(tmp_path_factory.mktemp("bare") / "venv", wheel)


class User:
    """Someone with the wheel only, in an empty directory."""

    def __init__(self, bench: Bench, environment: BareEnvironment) -> None:
        self.bench, self.environment = bench, environment
        self.cwd = bench.cwd
        self.program = str(environment.directory / "bin" / "firstwords")
        self.variables = {
            name: value for name, value in bench.environment.items() if name != "PYTHONPATH"
        }

    def firstwords(self, *arguments: str, **options: Any) -> str:
        return run(self.program, *arguments, cwd=self.cwd, env=self.variables, **options)

    def refused(self, *arguments: str) -> str:
        """Run a command that must fail; return its one line."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.cwd,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def user(bare: BareEnvironment, tmp_path_factory: pytest.TempPathFactory) -> User:
    """Someone who has trained a model."""
    bench = Bench(tmp_path_factory.mktemp("user"), pretrain=4, midtrain=2, sft=2)
    user = User(bench, bare)
    user.firstwords(*bench.train())
    return user


def test_description_has_no_link_into_the_repository(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
    header, _, description = text.partition("\n\n")
    assert f"\nVersion: {__version__}\n" in header
    assert "License-Expression: MIT" in header
    assert "pip install firstwords" in description
    assert not RELATIVE_LINK.search(description)
    assert "firstwords/py.typed" in names
    assert not [name for name in names if not name.startswith("firstwords")]


def test_files_are_those_of_the_wheel(user: User, bare: BareEnvironment) -> None:
    code = (
        "import firstwords, importlib.util as u; print(firstwords.__file__, u.find_spec('pyarrow'))"
    )
    found = run(str(bare.python), "-c", code, cwd=user.cwd, env=user.variables)
    assert found.split() == [str(bare.packages / "firstwords" / "__init__.py"), "None"]
    (report,) = user.bench.directory("x").glob("report*.html")
    assert report.stat().st_size


def test_chat_xray_report_and_export_work(user: User) -> None:
    user.firstwords("chat", "--prompt", "What is it?", "--max-tokens", "4")
    assert "layer" in user.firstwords("xray", "What is it?", "--stage", "sft")
    assert "report" in user.firstwords("report")
    user.firstwords("export", "--format", "html", "--out", "chat.html")
    assert (user.cwd / "chat.html").stat().st_size


def test_lab_names_a_page_that_is_there(user: User) -> None:
    output = user.firstwords("lab", "start", "1")
    page = re.search(r"read (\S+\.md),", output)
    assert page
    assert Path(page[1]).read_text(encoding="utf-8").startswith("# ")
    assert (user.cwd / "lab-1" / "attention.py").exists()


def test_slurm_writes_a_script(user: User) -> None:
    user.firstwords("slurm", "init")
    script = user.firstwords("slurm", "render", "--site", "site.toml")
    assert script.startswith("#!/bin/bash")
    assert "#SBATCH" in script


def test_missing_extras_are_named(user: User) -> None:
    parquet = user.cwd / "notes.parquet"
    parquet.write_bytes(b"PAR1")
    for arguments, extra in (
        (["serve"], "serve"),
        (["export", "--format", "gguf", "--out", "out"], "export"),
        (["data", "show", str(parquet)], "data"),
        (["runs", "export", "x", "x.tar.zst"], "data"),
    ):
        assert f"firstwords[{extra}]" in user.refused(*arguments)


@pytest.fixture
def url(user: User) -> Iterator[str]:
    """The address of a server, after its extra is installed."""
    user.environment.add("serve")
    log = user.bench.root / "serve.log"
    with log.open("w") as file:
        command = [user.program, "serve", "--port", "0"]
        process = subprocess.Popen(command, cwd=user.cwd, env=user.variables, stderr=file)
    try:
        yield address_in(log, process)
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_server_answers_and_shows_the_documents(url: str) -> None:
    question = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
    with httpx.Client(base_url=url, timeout=LIMIT_SECONDS) as client:
        answer = client.post("/v1/chat/completions", json=question | {"max_tokens": 4})
        assert answer.json()["choices"][0]["message"]["role"] == "assistant"
        for path in ("/", "/runs/", "/xray/", "/training/", "/docs/", "/docs/labs/README.md"):
            assert client.get(path).status_code == 200, path
        tour = client.get("/docs/guides/code-tour.md").text
        target = re.search(r'href="\.\./(source/src/firstwords/cli/train\.py)#L\d+"', tour)
        assert target
        code = re.sub(r"<[^>]+>", "", client.get(f"/docs/{target[1]}").text)
        assert "def train(" in code
        assert client.get("/docs/images/chat-light.png").headers["content-type"] == "image/png"
