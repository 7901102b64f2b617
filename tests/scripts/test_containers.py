"""The Dockerfile, firstwords.def and their page agree with each other and with the package.

Most tests need neither Docker nor Apptainer: they parse the two files, and run those steps of the
Dockerfile that need neither root nor a network, with the fake Python of test_setup.py. Slow tests
build and run an image where Docker or Apptainer is installed.
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

from firstwords.cli.main import cli
from firstwords.common.schema import parse_toml
from firstwords.slurm import script
from firstwords.slurm.site import Site

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "containers.md"
PROJECT = parse_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = "/opt/firstwords"  # directory of the package in both images
# Directories of the image that both files may name.
SYSTEM = (HOME, "/data", "/var/lib/apt/lists", "/usr/local/include")

# torch.compile needs the compiler, Python's headers and a writable home.
COMPILE_CODE = """
import os, torch
from firstwords.common import devices
assert os.getuid() != 0
assert torch.version.cuda is None, "the CPU image contains CUDA"
devices.configure_torch(1)
torch.compile(lambda x: x * 2 + 1)(torch.ones(8))
"""


# --- parsers --------------------------------------------------------------------------------------


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
    """Return the sources and the target of a COPY."""
    *sources, target = rest.split()
    assert not any(source.startswith("--") for source in sources)
    return sources, target


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for rest in all_of("ENV") for word in shlex.split(rest))


def needs_root(step: str) -> bool:
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


def substituted(body: str) -> str:
    """Return a section with the default build arguments substituted, as Apptainer does."""
    values = dict(line.split("=") for line in definition().sections["arguments"].split())
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda match: values[match[1]], body)


def post() -> list[str]:
    """Return the commands of %post, each in one line."""
    lines = substituted(definition().sections["post"]).splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return [one_line(line) for line in re.sub(r"\\\n", "", text).splitlines() if line.strip()]


def one_line(command: str) -> str:
    return " ".join(command.split())


def ignored(path: str) -> bool:
    """Return whether .dockerignore excludes a path.

    The last matching pattern decides; one that matches a directory matches everything in it.
    """
    excluded = False
    parts = path.split("/")
    prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = re.escape(line.lstrip("!"))
            pattern = pattern.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            if any(re.fullmatch(pattern, name) for name in prefixes):
                excluded = not line.startswith("!")
    return excluded


def scripts() -> Iterator[tuple[str, str]]:
    """Yield every shell script in the two files and on the page, with its location."""
    for number, step in enumerate(all_of("RUN"), 1):
        yield f"RUN {number}", step
        for inner in inside_bash(step):
            yield f"inside RUN {number}", inner
    for name in ("post", "environment", "runscript", "test"):
        yield f"%{name}", substituted(definition().sections[name])
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.language in ("bash", "sh"):
            yield "page", block.body


def inside_bash(step: str) -> list[str]:
    words = shlex.split(step)
    return [words[i + 2] for i, word in enumerate(words[:-2]) if word == "bash"]


# --- copied files ---------------------------------------------------------------------------------


def test_copied_files_exist_and_are_not_ignored() -> None:
    sources = [source for rest in all_of("COPY") for source in copied(rest)[0]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    for path in (ROOT / "src").rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and "__pycache__" not in name and ".egg-info" not in name:
            assert not ignored(name), name


def test_all_other_files_are_ignored() -> None:
    sources = {source for rest in all_of("COPY") for source in copied(rest)[0]}
    for path in ROOT.iterdir():
        if path.name not in {source.split("/")[0] for source in sources}:
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


def test_a_source_change_does_not_rebuild_the_torch_layer() -> None:
    order = [f"{name} {rest}" for name, rest in dockerfile()]
    install = next(i for i, text in enumerate(order) if "setup.sh;" in text)
    before = [text for text in order[:install] if text.startswith("COPY")]
    assert {source for text in before for source in copied(text)[0][1:]} == {
        "pyproject.toml",
        "requirements.lock",
        "requirements-test.lock",
        "scripts/setup.sh",
        "scripts/wheel_documents.py",
        "src/firstwords/__init__.py",
    }
    assert order.index("COPY src src") > install
    assert order.index("ARG GPU=0") == install - 1, (
        "an earlier ARG would duplicate the layers above"
    )


def test_the_definition_file_copies_the_same_files() -> None:
    files = dict(line.split() for line in definition().sections["files"].strip().splitlines())
    sources = {source for rest in all_of("COPY") for source in copied(rest)[0]}
    assert set(files) == sources - {"src/firstwords/__init__.py"}  # part of src
    for source, target in files.items():
        assert target == f"{HOME}/{source}"


# --- installation ---------------------------------------------------------------------------------


def test_both_files_pin_the_same_base() -> None:
    base = the("FROM")
    tag = re.fullmatch(r"python:(3\.\d+\.\d+)-slim-[a-z]+", base)
    assert tag, "the base must be pinned to a patch version and a Debian release"
    assert tag[1] in SpecifierSet(PROJECT["project"]["requires-python"])
    setup = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    accepted = re.search(r"case \$version in (\S+)\) ;;", setup)
    assert accepted
    assert fnmatch(tag[1].rpartition(".")[0], accepted[1]), "setup.sh rejects this Python"
    assert definition().header == {"Bootstrap": "docker", "From": base}


def test_both_files_have_the_same_steps() -> None:
    steps = [one_line(step) for step in all_of("RUN") if not step.startswith("useradd ")]
    assert len(steps) == 3
    assert [line for line in post() if line in steps] == steps
    others = [line for line in post() if line not in steps]
    assert others == ["mkdir -p /data", f"cd {HOME}", "export GPU=0"]


def test_only_setup_sh_installs_packages_because_it_pins_them() -> None:
    for path in (ROOT / "Dockerfile", ROOT / "firstwords.def"):
        text = path.read_text(encoding="utf-8")
        assert "latest" not in text
        assert not re.search(r"\b(pip|pip_install|uv) (install\b|-)", text)


def test_every_shell_script_is_valid() -> None:
    located = list(scripts())
    assert len(located) > 10
    for where, text in located:
        checked = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, f"{where}: {checked.stderr}"
        assert not checked.stderr, f"{where}: {checked.stderr}"


def test_no_file_names_a_host_or_a_local_path() -> None:
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
def test_the_steps_install_like_setup_sh(gpu: bool, tmp_path: Path) -> None:
    """Run the steps that do not need root, on the files copied so far."""
    machine = Checkout(tmp_path)
    machine.add_python()
    # The machine's own GPU must not matter.
    machine.add_tool("nvidia-smi", f"#!/bin/sh\nexit {int(gpu)}\n")
    (machine.bin / "touch").symlink_to(str(shutil.which("touch")))
    image = tmp_path / "image"
    image.mkdir()
    env = machine.env | {"FAKE_NO_WHEEL": "1", "GPU": str(int(gpu))}
    for name, rest in dockerfile():
        if name == "COPY":
            copy_into(rest, image)
        elif name == "RUN" and not needs_root(rest):
            done = run(["sh", "-c", rest], env, image)
            assert done.returncode == 0, done.stderr
    pins, *torch, package = machine.pip_calls()
    assert pins.endswith(f"-r {image}/requirements.lock")
    assert package.endswith(f"--no-build-isolation -e {image}")
    assert ("--torch-backend=cpu" in torch[-1]) != gpu
    assert not gpu or (len(torch) == 1 and "--no-index" not in torch[0])
    assert not (image / ".venv" / "setup.log").exists()


def copy_into(rest: str, image: Path) -> None:
    """Do what a COPY does, except for the package's source."""
    sources, target = copied(rest)
    for source in sources:
        if source == "src":
            continue
        destination = image / target / Path(source).name if target.endswith("/") else image / target
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, destination)


def test_an_editable_installation_needs_one_source_file(tmp_path: Path) -> None:
    """What pip records is the directory, so the rest of the source can be copied later."""
    for name in ("pyproject.toml", "scripts/wheel_documents.py", "src/firstwords/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "PACKAGE.md").touch()
    code = "from hatchling.build import build_editable; print(build_editable('.'))"
    built = run([sys.executable, "-c", code], dict(os.environ), tmp_path)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        (pth,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        assert wheel.read(pth).decode().split() == [str(tmp_path / "src")]


# --- start ----------------------------------------------------------------------------------------


def test_arguments_of_the_image_are_a_firstwords_command() -> None:
    assert json.loads(the("ENTRYPOINT")) == ["firstwords"]
    assert "firstwords" in PROJECT["project"]["scripts"]
    assert json.loads(the("CMD")) == ["--help"]
    assert definition().sections["runscript"].split() == ["exec", "firstwords", '"$@"']
    assert "firstwords --version" in definition().sections["test"]


def test_the_user_is_not_root_and_owns_the_data_directory() -> None:
    user, home = the("USER"), environment()["FIRSTWORDS_HOME"]
    (useradd,) = [step for step in all_of("RUN") if step.startswith("useradd ")]
    assert user != "root"
    assert f"--no-create-home {user} " in one_line(useradd)
    assert f"install -d -o {user} -g {user} {home}" in one_line(useradd)
    assert the("VOLUME") == home
    assert environment()["HOME"] == home
    assert all_of("WORKDIR") == [HOME, home], "the report is written to the last one"
    names = [name for name, _ in dockerfile()]
    last_step = max(i for i, name in enumerate(names) if name == "RUN")
    assert names.index("USER") > last_step
    assert names.index("VOLUME") > last_step, "later writes to a volume are lost"


def test_the_exposed_port_is_the_default_of_serve() -> None:
    (port,) = [option for option in cli.commands["serve"].params if option.name == "port"]
    assert the("EXPOSE") == str(port.default)


def test_a_job_may_set_another_home(tmp_path: Path) -> None:
    code = definition().sections["environment"] + '\necho "$FIRSTWORDS_HOME" "$PATH"'
    path = os.environ["PATH"]
    for given, home in (({}, "/data"), ({"FIRSTWORDS_HOME": "/scratch/me"}, "/scratch/me")):
        done = run(["sh", "-c", code], {"PATH": path, **given}, tmp_path)
        assert done.stdout == f"{home} {HOME}/.venv/bin:{path}\n"
    assert environment()["PATH"] == f"{HOME}/.venv/bin:$PATH"


def test_both_files_have_the_same_labels() -> None:
    labels = dict(shlex.split(rest)[0].split("=", 1) for rest in all_of("LABEL"))
    lines = definition().sections["labels"].strip().splitlines()
    assert dict(line.strip().split(" ", 1) for line in lines) == labels
    assert labels["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]


# --- the page -------------------------------------------------------------------------------------


def page_block(language: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    (block,) = [block.body for block in blocks(text) if block.language == language]
    return block


def test_commands_on_the_page_and_in_help_exist() -> None:
    """A command follows the name of an image."""
    text = PAGE.read_text(encoding="utf-8")
    typed = "".join(block.body for block in blocks(text) if block.language == "bash")
    typed = typed.replace("\\\n", " ") + definition().sections["help"]
    image = r"(?:firstwords:[cg]pu|(?:firstwords(?:-gpu)?|THIS)\.sif)"
    lines = re.findall(rf"run [^\n]*?{image} ([a-z][^\n]*)", typed)
    assert len(lines) > 8
    for line in lines:
        command, rest = cli, line.split()
        if rest[0] in ("runs/hello/report.html", "--standalone"):  # not firstwords
            continue
        while isinstance(command, click.Group):
            assert rest[0] in command.commands, line
            command = command.commands[rest.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= options, line


def test_the_site_fields_of_the_page_are_valid(tmp_path: Path) -> None:
    site = parse_toml(script.sample_site())
    for table, fields in parse_toml(page_block("toml")).items():
        site[table] |= fields
    job = script.render_script(Site.model_validate(site))
    assert 'python="$HOME/firstwords-python"' in job
    assert 'FIRSTWORDS_HOME="$SCRATCH/firstwords-home"' in job
    assert "module load apptainer" in job


def test_the_python_wrapper_of_the_page_passes_everything_on(tmp_path: Path) -> None:
    """With a fake Apptainer that runs the Python of the tests."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "apptainer"
    fake.write_text(
        '#!/bin/sh\necho "$1 $2 $3 $4 $5" >"$HOME/arguments"\n'
        f'shift 5\nexec {sys.executable} "$@"\n'
    )
    python = tmp_path / "firstwords-python"
    python.write_text(page_block("sh"))
    for path in (fake, python):
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
    arguments = (tmp_path / "arguments").read_text().strip()
    expected = f"exec --bind /scratch/my home {tmp_path}/firstwords.sif {HOME}/.venv/bin/python"
    assert arguments == expected


# --- built images ---------------------------------------------------------------------------------


def skip_without_disk(path: Path) -> None:
    if shutil.disk_usage(path).free < 12e9:
        pytest.skip("less than 12 GB of disk are free")


def output_of(command: list[str], seconds: float = 120) -> str:
    done = run(command, dict(os.environ), ROOT, seconds)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_docker_builds_and_runs_the_image(tmp_path: Path) -> None:
    docker = next(filter(shutil.which, ("docker", "podman")), None)
    if docker is None:
        pytest.skip("neither docker nor podman is installed")
    if run([docker, "info"], dict(os.environ), ROOT).returncode:
        pytest.skip(f"{docker} is installed but does not work (see {docker} info)")
    skip_without_disk(tmp_path)
    output_of([docker, "build", "--iidfile", str(tmp_path / "image"), "."], seconds=3000)
    image = (tmp_path / "image").read_text().strip()
    try:
        version = output_of([docker, "run", "--rm", image, "--version"])
        assert PROJECT["project"]["version"] in version
        inside = [docker, "run", "--rm", "--entrypoint", "python"]
        output_of([*inside, image, "-c", COMPILE_CODE])
        output_of([*inside, "--user", "4321:4321", "--tmpfs", "/data", image, "-c", COMPILE_CODE])
    finally:
        run([docker, "rmi", image], dict(os.environ), ROOT)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_apptainer_builds_and_runs_the_image(tmp_path: Path) -> None:
    apptainer = next(filter(shutil.which, ("apptainer", "singularity")), None)
    if apptainer is None:
        pytest.skip("neither apptainer nor singularity is installed")
    skip_without_disk(tmp_path)
    image = str(tmp_path / "firstwords.sif")
    output_of([apptainer, "build", image, "firstwords.def"], seconds=3000)
    assert PROJECT["project"]["version"] in output_of([apptainer, "run", image, "--version"])
    output_of([apptainer, "test", image])
