"""The recipes for containers, and their page: what they copy, install and promise.

Neither Docker nor Apptainer is needed: the recipes are read, and those of the Dockerfile's steps
that need neither root nor a network are run, with the fake Python of test_setup.py. Where one of
the two is installed, a slow test builds an image and runs it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from documents import blocks
from packaging.specifiers import SpecifierSet
from test_setup import Checkout, run

from firstwords.cli import cli
from firstwords.recipe import parse_toml
from firstwords.slurm import script
from firstwords.slurm.site import Site

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "containers.md"
PROJECT = parse_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = "/opt/firstwords"  # of the package, in both images
# Files that both recipes write or read, outside of what they bring.
SYSTEM = (HOME, "/data", "/var/lib/apt/lists", "/usr/local/include")

# torch.compile wants the compiler and Python's headers, and a home that can be written to.
COMPILES = """
import os, torch
from firstwords import machine
assert os.getuid() != 0
assert torch.version.cuda is None, "the image for processors has CUDA in it"
machine.setup(1)
torch.compile(lambda x: x * 2 + 1)(torch.ones(8))
"""


# --- the recipes, read ----------------------------------------------------------------------------


class Instruction(NamedTuple):
    name: str
    rest: str


def dockerfile() -> list[Instruction]:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n", "", text).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in joined if line.strip()]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in dockerfile() if instruction == name]


def the(name: str) -> str:
    (rest,) = all_of(name)
    return rest


def copied(rest: str) -> tuple[list[str], str]:
    """What a COPY takes, and where to."""
    *sources, target = rest.split()
    assert not any(source.startswith("--") for source in sources)
    return sources, target


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for rest in all_of("ENV") for word in shlex.split(rest))


def for_root(step: str) -> bool:
    return step.startswith(("apt-get ", "useradd "))


class Definition(NamedTuple):
    header: dict[str, str]
    sections: dict[str, str]


def definition() -> Definition:
    text = (ROOT / "firstwords.def").read_text(encoding="utf-8")
    header, *rest = re.split(r"^%", text, flags=re.MULTILINE)
    fields = [line.split(": ", 1) for line in header.splitlines() if not line.startswith("#")]
    sections = [section.split("\n", 1) for section in rest]
    return Definition(
        {field[0]: field[1] for field in fields if len(field) == 2},
        {name.strip(): body for name, body in sections},
    )


def filled(body: str) -> str:
    """A section with the build arguments' defaults put in, as Apptainer does it."""
    values = dict(line.split("=") for line in definition().sections["arguments"].split())
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda found: values[found[1]], body)


def post() -> list[str]:
    """The commands of %post."""
    lines = filled(definition().sections["post"]).splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return [one_line(line) for line in re.sub(r"\\\n", "", text).splitlines() if line.strip()]


def one_line(command: str) -> str:
    return " ".join(command.split())


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the builder. The last pattern that fits decides, and
    what fits a directory fits all that is in it."""
    found = False
    parts = path.split("/")
    inside = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = re.escape(line.lstrip("!"))
            pattern = pattern.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            if any(re.fullmatch(pattern, name) for name in inside):
                found = not line.startswith("!")
    return found


def scripts() -> Iterator[tuple[str, str]]:
    """Every piece of shell in the two recipes and in the page, and where it stands."""
    for number, step in enumerate(all_of("RUN"), 1):
        yield f"RUN {number}", step
        for inner in inside_bash(step):
            yield f"inside RUN {number}", inner
    for name in ("post", "environment", "runscript", "test"):
        yield f"%{name}", filled(definition().sections[name])
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.language in ("bash", "sh"):
            yield "page", block.body


def inside_bash(step: str) -> list[str]:
    words = shlex.split(step)
    return [words[i + 2] for i, word in enumerate(words[:-2]) if word == "bash"]


# --- what is copied -------------------------------------------------------------------------------


def test_what_is_copied_is_there_and_not_ignored() -> None:
    taken = [source for rest in all_of("COPY") for source in copied(rest)[0]]
    assert taken
    for source in taken:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    for path in (ROOT / "src").rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and "__pycache__" not in name and ".egg-info" not in name:
            assert not ignored(name), name


def test_nothing_else_goes_to_the_builder() -> None:
    taken = {source for rest in all_of("COPY") for source in copied(rest)[0]}
    for path in ROOT.iterdir():
        if path.name not in {source.split("/")[0] for source in taken}:
            assert ignored(path.name), path.name
    for name in (
        "src/firstwords/__pycache__/cli.cpython-313.pyc",
        "src/firstwords.egg-info/PKG-INFO",
        "scripts/test.sh",
        ".git/config",
        ".venv/bin/python",
        "shared/data/text.parquet",
        "key.pem",
    ):
        assert ignored(name), name


def test_a_change_of_the_source_leaves_the_layer_with_torch_alone() -> None:
    order = [f"{name} {rest}" for name, rest in dockerfile()]
    install = next(i for i, text in enumerate(order) if "setup.sh;" in text)
    before = [text for text in order[:install] if text.startswith("COPY")]
    assert {source for text in before for source in copied(text)[0][1:]} == {
        "pyproject.toml",
        "requirements.lock",
        "requirements-test.lock",
        "scripts/setup.sh",
        "src/firstwords/__init__.py",
    }
    assert order.index("COPY src src") > install
    assert order.index("ARG GPU=0") == install - 1, "an earlier one would make two of each layer"


def test_the_definition_file_takes_the_same_files() -> None:
    files = dict(line.split() for line in definition().sections["files"].strip().splitlines())
    taken = {source for rest in all_of("COPY") for source in copied(rest)[0]}
    assert set(files) == taken - {"src/firstwords/__init__.py"}  # comes with src
    for source, target in files.items():
        assert target == f"{HOME}/{source}"


# --- what is installed ----------------------------------------------------------------------------


def test_the_base_is_pinned_and_the_same() -> None:
    base = the("FROM")
    tag = re.fullmatch(r"python:(3\.\d+\.\d+)-slim-[a-z]+", base)
    assert tag, "a version to the last number, and Debian's name"
    assert tag[1] in SpecifierSet(PROJECT["project"]["requires-python"])
    setup = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    known = re.search(r"case \$version in (\S+)\) ;;", setup)
    assert known
    assert fnmatch(tag[1].rpartition(".")[0], known[1]), "setup.sh would not take it"
    assert definition().header == {"Bootstrap": "docker", "From": base}


def test_both_recipes_take_the_same_steps() -> None:
    steps = [one_line(step) for step in all_of("RUN") if not step.startswith("useradd ")]
    assert len(steps) == 3
    assert [line for line in post() if line in steps] == steps
    others = [line for line in post() if line not in steps]
    assert others == ["mkdir -p /data", f"cd {HOME}", "export GPU=0"]


def test_everything_is_pinned_by_the_locks() -> None:
    for path in (ROOT / "Dockerfile", ROOT / "firstwords.def"):
        text = path.read_text(encoding="utf-8")
        assert "latest" not in text
        for line in text.splitlines():
            if re.search(r"\b(pip|pip_install|uv) (install\b|-)", line):
                assert "-c requirements-test.lock" in line, line


def test_every_piece_of_shell_is_well_formed() -> None:
    pieces = list(scripts())
    assert len(pieces) > 10
    for where, text in pieces:
        checked = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, f"{where}: {checked.stderr}"
        assert not checked.stderr, f"{where}: {checked.stderr}"


def test_no_host_and_no_path_of_a_machine() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", "")
    for name in ("Dockerfile", ".dockerignore", "firstwords.def"):
        text = (ROOT / name).read_text(encoding="utf-8")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        paths = re.findall(r"(?<![\w.}$/*])/[\w./-]+", code)
        assert not [path for path in paths if not path.startswith(SYSTEM)], name
        page += text
    assert "://" not in page
    assert not re.search(r"\b[\w-]+\.(?:io|org|com|dev|net)/", page)


@pytest.mark.skipif(sys.platform != "linux", reason="the steps are for Linux")
@pytest.mark.parametrize("gpu", [False, True])
def test_the_steps_install_what_setup_sh_installs(gpu: bool, tmp_path: Path) -> None:
    """The steps that root is not needed for, on what was copied by then."""
    if gpu and shutil.disk_usage(tmp_path).free < 10e9:
        pytest.skip("less than 10 GB of disk are free")
    machine = Checkout(tmp_path)
    machine.add_python()
    # What the machine has decides nothing.
    machine.add_tool("nvidia-smi", f"#!/bin/sh\nexit {int(gpu)}\n")
    (machine.bin / "touch").symlink_to(str(shutil.which("touch")))
    image = tmp_path / "image"
    image.mkdir()
    env = machine.env | {"FAKE_NO_WHEEL": "1", "GPU": str(int(gpu))}
    for name, rest in dockerfile():
        if name == "COPY":
            lay(rest, image)
        elif name == "RUN" and not for_root(rest):
            done = run(["sh", "-c", rest], env, image)
            assert done.returncode == 0, done.stderr
    pins, *torch, package, extras = machine.pip_calls()
    assert pins.endswith(f"-r {image}/requirements.lock")
    assert package.endswith(f"--no-build-isolation -e {image}")
    assert extras.endswith("-c requirements-test.lock --no-build-isolation -e .[serve,export]")
    assert ("--torch-backend=cpu" in torch[-1]) != gpu
    assert not gpu or (len(torch) == 1 and "--no-index" not in torch[0])
    left = {path.name for path in (image / ".venv").iterdir()}
    assert "setup.log" not in left


def lay(rest: str, image: Path) -> None:
    """COPY, with as much of the source as a test has use for."""
    sources, target = copied(rest)
    for source in sources:
        if source == "src":
            continue
        goal = image / target / Path(source).name if target.endswith("/") else image / target
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, goal)


def test_the_package_finds_the_source_that_comes_later(tmp_path: Path) -> None:
    """Installed as editable from one file of it: what pip notes down is the directory."""
    for name in ("pyproject.toml", "src/firstwords/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "README.md").touch()
    code = "from hatchling.build import build_editable; print(build_editable('.'))"
    built = run([sys.executable, "-c", code], dict(os.environ), tmp_path)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        (notes,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        assert wheel.read(notes).decode().split() == [str(tmp_path / "src")]


def test_the_extras_agree_with_the_locks() -> None:
    (step,) = [step for step in all_of("RUN") if "pip_install" in step]
    named = re.search(r"\.\[([\w,]+)\]", step)
    assert named
    lock = (ROOT / "requirements-test.lock").read_text(encoding="utf-8")
    pinned = {line.split("==")[0] for line in lock.splitlines() if line[:1].isalpha()}
    for extra in named[1].split(","):
        for requirement in PROJECT["project"]["optional-dependencies"][extra]:
            assert re.split(r"[<>=\[; ]", requirement)[0] in pinned


# --- how it starts --------------------------------------------------------------------------------


def test_what_follows_the_image_is_a_command() -> None:
    assert json.loads(the("ENTRYPOINT")) == ["firstwords"]
    assert "firstwords" in PROJECT["project"]["scripts"]
    assert json.loads(the("CMD")) == ["--help"]
    assert definition().sections["runscript"].split() == ["exec", "firstwords", '"$@"']
    assert "firstwords --version" in definition().sections["test"]


def test_the_user_is_not_root_and_owns_the_data() -> None:
    user, home = the("USER"), environment()["FIRSTWORDS_HOME"]
    (made,) = [step for step in all_of("RUN") if step.startswith("useradd ")]
    assert user != "root"
    assert f"--no-create-home {user} " in one_line(made)
    assert f"install -d -o {user} -g {user} {home}" in one_line(made)
    assert the("VOLUME") == home
    assert environment()["HOME"] == home
    assert all_of("WORKDIR") == [HOME, home], "where the report is written to"
    names = [name for name, _ in dockerfile()]
    last_step = max(i for i, name in enumerate(names) if name == "RUN")
    assert names.index("USER") > last_step
    assert names.index("VOLUME") > last_step, "what is written into a volume later is lost"


def test_the_port_is_that_of_the_server() -> None:
    (port,) = [option for option in cli.commands["serve"].params if option.name == "port"]
    assert the("EXPOSE") == str(port.default)


def test_a_job_may_name_another_home(tmp_path: Path) -> None:
    code = definition().sections["environment"] + '\necho "$FIRSTWORDS_HOME" "$PATH"'
    path = os.environ["PATH"]
    for given, home in (({}, "/data"), ({"FIRSTWORDS_HOME": "/scratch/me"}, "/scratch/me")):
        said = run(["sh", "-c", code], {"PATH": path, **given}, tmp_path)
        assert said.stdout == f"{home} {HOME}/.venv/bin:{path}\n"
    assert environment()["PATH"] == f"{HOME}/.venv/bin:$PATH"


def test_both_say_the_same_of_themselves() -> None:
    labels = dict(shlex.split(rest)[0].split("=", 1) for rest in all_of("LABEL"))
    lines = definition().sections["labels"].strip().splitlines()
    assert dict(line.strip().split(" ", 1) for line in lines) == labels
    assert labels["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]


# --- the page -------------------------------------------------------------------------------------


def page_block(language: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    (block,) = [block.body for block in blocks(text) if block.language == language]
    return block


def test_commands_in_containers_exist() -> None:
    """What follows an image's name on the page and in %help."""
    text = PAGE.read_text(encoding="utf-8")
    typed = "".join(block.body for block in blocks(text) if block.language == "bash")
    typed = typed.replace("\\\n", " ") + definition().sections["help"]
    image = r"(?:firstwords:[cg]pu|(?:firstwords(?:-gpu)?|THIS)\.sif)"
    lines = re.findall(rf"run [^\n]*?{image} ([a-z][^\n]*)", typed)
    assert len(lines) > 8
    for line in lines:
        command, rest = cli, line.split()
        if rest[0] in ("runs/hello/report.html", "--standalone"):  # of other programs
            continue
        while isinstance(command, click.Group):
            assert rest[0] in command.commands, line
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known, line


def test_a_site_file_takes_the_python_of_the_page(tmp_path: Path) -> None:
    site = parse_toml(script.sample())
    for table, fields in parse_toml(page_block("toml")).items():
        site[table] |= fields
    job = script.render(Site.model_validate(site))
    assert 'python="$HOME/firstwords-python"' in job
    assert 'FIRSTWORDS_HOME="$SCRATCH/firstwords-home"' in job
    assert "module load apptainer" in job


def test_the_python_of_the_page_passes_everything_on(tmp_path: Path) -> None:
    """With a stand-in for Apptainer that runs this very Python."""
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "apptainer"
    stand_in.write_text(
        f'#!/bin/sh\necho "$1 $2 $3 $4 $5" >"$HOME/asked"\nshift 5\nexec {sys.executable} "$@"\n'
    )
    python = tmp_path / "firstwords-python"
    python.write_text(page_block("sh"))
    for path in (stand_in, python):
        path.chmod(0o755)
    env = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FIRSTWORDS_HOME": "/scratch/my home",
    }
    code = "import sys; print(sys.argv[1:]); sys.exit(3)"
    done = run([str(python), "-c", code, "two words", "--run"], env, tmp_path)
    assert done.stdout == "['two words', '--run']\n", done.stderr
    assert done.returncode == 3
    asked = (tmp_path / "asked").read_text().strip()
    wanted = f"exec --bind /scratch/my home {tmp_path}/firstwords.sif {HOME}/.venv/bin/python"
    assert asked == wanted


# --- really built ---------------------------------------------------------------------------------


def skip_without_disk(path: Path) -> None:
    if shutil.disk_usage(path).free < 12e9:
        pytest.skip("less than 12 GB of disk are free")


def told(command: list[str], seconds: float = 120) -> str:
    done = run(command, dict(os.environ), ROOT, seconds)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_docker_builds_and_runs_it(tmp_path: Path) -> None:
    docker = next(filter(shutil.which, ("docker", "podman")), None)
    if docker is None:
        pytest.skip("neither docker nor podman is installed")
    if run([docker, "info"], dict(os.environ), ROOT).returncode:
        pytest.skip(f"{docker} is installed, but does not work here ({docker} info says why)")
    skip_without_disk(tmp_path)
    told([docker, "build", "--iidfile", str(tmp_path / "image"), "."], seconds=3000)
    image = (tmp_path / "image").read_text().strip()
    try:
        version = told([docker, "run", "--rm", image, "--version"])
        assert PROJECT["project"]["version"] in version
        inside = [docker, "run", "--rm", "--entrypoint", "python"]
        told([*inside, image, "-c", COMPILES])
        told([*inside, "--user", "4321:4321", "--tmpfs", "/data", image, "-c", COMPILES])
    finally:
        run([docker, "rmi", image], dict(os.environ), ROOT)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_apptainer_builds_and_runs_it(tmp_path: Path) -> None:
    apptainer = next(filter(shutil.which, ("apptainer", "singularity")), None)
    if apptainer is None:
        pytest.skip("neither apptainer nor singularity is installed")
    skip_without_disk(tmp_path)
    image = str(tmp_path / "firstwords.sif")
    told([apptainer, "build", image, "firstwords.def"], seconds=3000)
    assert PROJECT["project"]["version"] in told([apptainer, "run", image, "--version"])
    told([apptainer, "test", image])
