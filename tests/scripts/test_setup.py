"""The start scripts: installation, arguments that they pass on, and their error messages.

Most tests run the real scripts on a copy of the checkout with a fake Python: a small shell script
that creates a fake virtual environment, logs each pip command, and passes everything else to the
Python that runs the tests. The free disk, the network and the error messages of pip and uv are
faked, too.
"""

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from waiting import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-test.lock")
TOOLS = [
    *("awk", "bash", "cat", "chmod", "cp", "dirname", "du", "env", "find", "grep", "mkdir"),
    *("mv", "readlink", "rm", "sed", "sh", "sleep", "tail", "uname"),
]

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="torch has a CPU build only for Linux"
)

# The fake Python. Its fake venv logs each pip command to @PIP_LOG@ and contains the program
# firstwords once the package itself is "installed".
FAKE_PYTHON = """#!/bin/sh
case "$*" in
*'import venv, ensurepip'*) [ -z "${FAKE_NO_VENV:-}" ] || exit 1 ;;
*'import shutil'*) echo "${FAKE_FREE_MB:-99999}"; exit ;;
*'import socket'*) exit "${FAKE_NO_ROUTE:-0}" ;;
*pip._vendor.packaging*) echo "${FAKE_MISSING-torch==2, numpy==1}"; exit ;;
esac
if [ "$1 $2 $3" = "-I -m venv" ]; then
  mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
elif [ "$1 $2 $3" = "-I -m pip" ]; then
  shift 3
  [ "$1" = --version ] && exit
  [ "$1" = index ] && { echo "Available versions: ${FAKE_VERSIONS:-}"; exit; }
  echo "$*" >>@PIP_LOG@
  sleep "${FAKE_PIP_SECONDS:-0}"
  case " $* " in
  *" --no-index "*) [ -z "${FAKE_NO_WHEEL:-}" ] || {
    echo 'ERROR: No matching distribution found for torch' >&2; exit 1; } ;;
  *" uv "*) cp @FAKE_UV@ "${0%/*}/uv" ;;
  *" -e "*) for name in firstwords pytest; do
      printf '#!/bin/sh\\npwd\\nprintf "<%%s>\\\\n" "$@"\\n' >"${0%/*}/$name"
      chmod +x "${0%/*}/$name"
    done ;;
  esac
  if [ -n "${FAKE_PIP_ERROR:-}" ]; then echo "$FAKE_PIP_ERROR" >&2; exit 1; fi
else
  exec @PYTHON@ "$@"
fi
"""

FAKE_UV = """#!/bin/sh
echo "uv $*" >>@PIP_LOG@
if [ -n "${FAKE_UV_ERROR:-}" ]; then echo "$FAKE_UV_ERROR" >&2; exit 1; fi
"""


def copy_checkout(destination: Path) -> Path:
    """Copy the files of the checkout that the scripts use."""
    shutil.copytree(ROOT / "scripts", destination / "scripts")
    for name in (*LOCKS, "pyproject.toml"):
        shutil.copy(ROOT / name, destination / name)
    return destination


class Checkout:
    """A copy of the checkout, and a PATH with a few tools but no Python yet."""

    def __init__(self, path: Path) -> None:
        self.root = copy_checkout(path / "check out")
        self.bin = path / "bin"
        self.pip_log = path / "pip.log"
        self.bin.mkdir()
        for tool in TOOLS:
            path_of_tool = shutil.which(tool)
            assert path_of_tool, f"the tests need {tool}"
            (self.bin / tool).symlink_to(path_of_tool)
        self.env = {"PATH": str(self.bin), "HOME": str(path), "TMPDIR": str(path)}

    def add_tool(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def add_python(self, name: str = "python3") -> None:
        paths = {"PIP_LOG": self.pip_log, "PYTHON": sys.executable, "FAKE_UV": self.bin / "fake uv"}
        for tool, text in (("fake uv", FAKE_UV), (name, FAKE_PYTHON)):
            for placeholder, path in paths.items():
                text = text.replace(f"@{placeholder}@", shlex.quote(str(path)))
            self.add_tool(tool, text)

    def command(self, *arguments: str, script: str = "local_cpu_train.sh") -> list[str]:
        return ["bash", str(self.root / "scripts" / script), *arguments]

    def start(
        self, *arguments: str, script: str = "local_cpu_train.sh", **env: str
    ) -> "subprocess.CompletedProcess[str]":
        return run(self.command(*arguments, script=script), self.env | env, self.root.parent)

    def start_on_terminal(self, answer: str, **env: str) -> tuple[int, str]:
        """Start on a new terminal where a person types a line; return exit code and output."""
        terminal, end = pty.openpty()
        with subprocess.Popen(
            self.command(), env=self.env | env, stdin=end, stderr=end, stdout=subprocess.DEVNULL
        ) as process:
            os.close(end)
            os.write(terminal, f"{answer}\n".encode())
            output = b""
            try:
                while text := os.read(terminal, 4096):
                    output += text
            except OSError:  # how Linux reports that the other end is closed
                pass
            os.close(terminal)
            return process.wait(LIMIT_SECONDS), output.decode()

    def pip_calls(self) -> list[str]:
        return self.pip_log.read_text().splitlines() if self.pip_log.exists() else []


def run(
    command: list[str], env: dict[str, str], cwd: Path, seconds: float = LIMIT_SECONDS
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False
    )


def assert_user_error(
    result: "subprocess.CompletedProcess[str]", *words: str, lines: int = 2
) -> None:
    """Check for exit code 2 and one error line on stderr, after at most the first progress line."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    stderr = result.stderr.splitlines()
    assert len(stderr) <= lines, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in stderr[-1]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout with a fake Python and a finished installation for runs."""
    checkout.add_python()
    result = checkout.start()
    assert result.returncode == 0, result.stderr
    checkout.pip_log.unlink()
    return checkout


# --- installation ---------------------------------------------------------------------------------


def test_installs_pins_torch_and_the_package(checkout: Checkout) -> None:
    checkout.add_python()
    result = checkout.start("--time", "1m")
    assert result.returncode == 0, result.stderr
    pins, torch, package = checkout.pip_calls()
    assert pins.endswith(f"-r {checkout.root}/requirements.lock")
    assert "--no-deps" in pins, "pip must not install torch with CUDA as a dependency"
    assert "torch==" in torch
    assert package.endswith(f"--no-deps --no-build-isolation -e {checkout.root}")
    header, done = result.stderr.splitlines()
    assert "installing torch==" in header
    assert "GB of disk" in header
    assert "installed in" in done


@linux_only
def test_installs_the_cpu_build_of_torch_with_uv(checkout: Checkout) -> None:
    checkout.add_python()
    result = checkout.start(FAKE_NO_WHEEL="1")
    assert result.returncode == 0, result.stderr
    _, local, uv, dry_run, torch, _ = checkout.pip_calls()
    assert "--no-index" in local
    assert uv.endswith("requirements-test.lock uv")
    assert torch.startswith("uv ")
    assert "--torch-backend=cpu" in torch
    assert "torch==" in torch
    assert dry_run == torch.replace(" torch==", " --dry-run torch==")


def test_installs_the_default_build_of_torch_with_an_nvidia_gpu(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.add_tool("nvidia-smi", "#!/bin/sh\necho GPU 0\n")
    result = checkout.start(FAKE_NO_WHEEL="1")
    assert result.returncode == 0, result.stderr
    _, torch, _ = checkout.pip_calls()
    assert "--no-index" not in torch
    assert "torch==" in torch


def test_locks_have_no_host_and_no_gpu_packages() -> None:
    for name in LOCKS:
        text = (ROOT / name).read_text()
        assert "://" not in text
        packages = [line.split("==")[0] for line in text.splitlines() if line[:1].isalpha()]
        assert "numpy" in packages
        assert "hatchling" in packages
        for package in packages:
            assert not package.startswith(("torch", "triton", "nvidia", "cuda"))


def test_the_lock_of_the_tests_contains_the_lock_of_a_run() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ;")[0] for line in lines if line[:1].isalpha()}

    assert pins("requirements.lock") < pins("requirements-test.lock")


def test_the_lock_of_a_run_contains_all_dependencies_of_the_extras() -> None:
    """With their own dependencies, because setup.sh lets pip install none."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = {re.split("==", line)[0] for line in lines if line[:1].isalpha()}
    needed, rest = set[str](), [Requirement("firstwords[documents,export,serve]")]
    while rest:
        parent = rest.pop()
        for child in map(Requirement, requires(parent.name) or []):
            applies = [
                not child.marker or child.marker.evaluate({"extra": extra})
                for extra in (parent.extras or {""})
            ]
            if any(applies) and child.name not in needed | {"torch"}:
                needed.add(child.name)
                rest.append(child)
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in needed}
    assert {"uvicorn", "gguf", "starlette", "pypdf"} < names
    assert names <= pinned


# --- arguments, exit code, signals ----------------------------------------------------------------


def test_arguments_and_current_directory_are_passed_on_unchanged(
    ready: Checkout, tmp_path: Path
) -> None:
    user = tmp_path / "a user's directory"
    user.mkdir()
    arguments = ["--run", "two words", "", "*", "$HOME", 'a"b', "--"]
    expected = [str(user), "<train>", *(f"<{argument}>" for argument in arguments)]
    scripts = os.path.relpath(ready.root / "scripts", user)
    (user / "link").symlink_to(Path(scripts, "local_cpu_train.sh"))
    (user / "link to link").symlink_to("link")
    for script in (
        str(ready.root / "scripts" / "local_cpu_train.sh"),
        str(Path(scripts, "local_cpu_train.sh")),
        "./link to link",
        str(user / "link"),
    ):
        result = run([script, *arguments], ready.env, user)
        assert result.stdout.splitlines() == expected
        assert result.stderr == ""
        assert result.returncode == 0


def test_exit_code_and_signals_are_passed_through(ready: Checkout) -> None:
    program = ready.root / ".venv" / "bin" / "firstwords"
    program.write_text("#!/bin/sh\nexit 7\n")
    assert ready.start().returncode == 7
    program.write_text("#!/bin/sh\necho ready\nexec sleep 9999\n")
    with subprocess.Popen(ready.command(), env=ready.env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_SECONDS) == -signal.SIGTERM


def test_test_script_runs_pytest_in_the_repository_root(ready: Checkout) -> None:
    result = ready.start("-k", "a b", script="test.sh")
    assert result.stdout.splitlines() == [str(ready.root), "<-k>", "<a b>"]


# --- an existing installation ---------------------------------------------------------------------


def test_a_second_start_does_not_run_pip(ready: Checkout) -> None:
    result = ready.start()
    assert result.returncode == 0
    assert result.stderr == ""
    assert ready.pip_calls() == []


def test_an_installation_for_the_tests_is_enough_for_a_run(ready: Checkout) -> None:
    assert ready.start(script="test.sh").returncode == 0
    assert "requirements-test.lock" in ready.pip_calls()[0]
    ready.pip_log.unlink()
    assert ready.start().returncode == 0
    assert ready.start(script="test.sh").returncode == 0
    assert ready.pip_calls() == []


@pytest.mark.parametrize("name", [*LOCKS, "pyproject.toml"])
def test_a_changed_pin_is_installed(ready: Checkout, name: str) -> None:
    with (ready.root / name).open("a") as file:
        file.write("# another line\n")
    assert ready.start().returncode == 0
    assert len(ready.pip_calls()) == 3


def test_nothing_is_announced_as_a_download_if_nothing_is_missing(ready: Checkout) -> None:
    (ready.root / ".venv" / ".stamp").unlink()
    result = ready.start(FAKE_MISSING="")
    assert result.returncode == 0
    first, _ = result.stderr.splitlines()
    assert first == f"firstwords: checking the packages in {ready.root}/.venv"
    result = ready.start(script="test.sh", FAKE_MISSING="pytest==9")
    assert result.stderr.startswith(f"firstwords: installing pytest==9 into {ready.root}/.venv\n")


def test_a_moved_checkout_gets_a_new_virtual_environment(ready: Checkout) -> None:
    old_file = ready.root / ".venv" / "old file"
    old_file.touch()
    ready.root = ready.root.rename(ready.root.with_name("moved"))
    assert ready.start().returncode == 0
    assert len(ready.pip_calls()) == 3
    assert not (ready.root / ".venv" / "old file").exists()


def test_the_next_start_resumes_a_failed_installation(checkout: Checkout) -> None:
    checkout.add_python()
    assert checkout.start(FAKE_PIP_ERROR="ERROR: something").returncode == 2
    existing = checkout.root / ".venv" / "existing"
    existing.touch()
    packages = checkout.root / ".venv" / "lib" / "python3.99" / "site-packages"
    (packages / "partial-1.dist-info").mkdir(parents=True)
    (packages / "complete-1.dist-info").mkdir()
    (packages / "complete-1.dist-info" / "INSTALLER").touch()
    assert checkout.start().returncode == 0
    assert existing.exists()
    assert [path.name for path in packages.iterdir()] == ["complete-1.dist-info"]


def test_two_simultaneous_starts_install_once(checkout: Checkout) -> None:
    checkout.add_python()
    env = checkout.env | {"FAKE_PIP_SECONDS": "0.3"}
    both = [
        subprocess.Popen(checkout.command(), env=env, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=LIMIT_SECONDS)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(checkout.pip_calls()) == 3
    assert sum("waiting for another installation" in text for text in outputs) == 1


def test_a_killed_start_leaves_no_lock_behind(checkout: Checkout) -> None:
    checkout.add_python()
    env = checkout.env | {"FAKE_PIP_SECONDS": "60"}
    with subprocess.Popen(checkout.command(), env=env, start_new_session=True) as process:
        while not checkout.pip_calls():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert checkout.start().returncode == 0


# --- errors ---------------------------------------------------------------------------------------


def test_without_a_python_the_hint_says_how_to_install_one(checkout: Checkout) -> None:
    checkout.add_tool("python", "#!/bin/sh\necho 2.7\n")
    result = checkout.start()
    assert_user_error(result, "Python from 3.10", "python is 2.7", "python3-venv", lines=1)
    assert not (checkout.root / ".venv").exists()


def test_only_the_python_of_firstwords_python_is_tried(checkout: Checkout, tmp_path: Path) -> None:
    checkout.add_python()
    missing = str(tmp_path / "no python")
    assert_user_error(checkout.start(FIRSTWORDS_PYTHON=missing), missing, lines=1)
    checkout.add_python("my python")
    named = str(checkout.bin / "my python")
    (checkout.bin / "python3").unlink()
    assert checkout.start(FIRSTWORDS_PYTHON=named).returncode == 0


def test_a_python_with_a_version_in_its_name_is_found(checkout: Checkout) -> None:
    checkout.add_tool("python3", "#!/bin/sh\necho 3.9\n")
    checkout.add_python("python3.12")
    assert checkout.start().returncode == 0


def test_without_the_venv_module_the_hint_says_how_to_install_it(checkout: Checkout) -> None:
    checkout.add_python()
    result = checkout.start(FAKE_NO_VENV="1")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert_user_error(result, "venv module", f"apt install {version}-venv", lines=1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ERROR: [Errno 28] No space left on device", ["disk is full", "MB are needed"]),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError: Temporary failure "
            "in name resolution'\nERROR: No matching distribution found for numpy==2",
            ["cannot install torch==2, numpy==1: cannot reach the package index; check"],
        ),
        (
            "Could not fetch URL https://me@pip.example:8/simple/numpy/: 403 Client Error\n"
            "Could not fetch URL https://other.example/simple/numpy/: 404 Client Error\n"
            "ERROR: No matching distribution found for numpy==2",
            ["cannot install torch==2, numpy==1: cannot reach pip.example; check the network"],
        ),
        (
            "WARNING: Retrying (host='other.example', port=443)\n"
            "ERROR: HTTPSConnectionPool(host='pip.example', port=443): Read timed out.",
            ["cannot reach pip.example; check", "PIP_INDEX_URL for a mirror"],
        ),
        (
            "Could not fetch URL https://pip.example/simple/numpy/: SSLError: certificate verify "
            "failed\nERROR: No matching distribution found for numpy==2",
            ["cannot verify the certificate of pip.example; set PIP_CERT"],
        ),
        (
            "ERROR: No matching distribution found for numpy==2.5",
            ["numpy==2.5 is not published for this computer"],
        ),
    ],
)
def test_an_error_of_pip_is_explained(checkout: Checkout, error: str, words: list[str]) -> None:
    checkout.add_python()
    assert_user_error(checkout.start(FAKE_PIP_ERROR=error), *words)


OFFLINE = "ERROR: (host='pip.example', port=443): Temporary failure in name resolution"


def test_without_a_network_the_missing_packages_are_named(checkout: Checkout) -> None:
    checkout.add_python()
    result = checkout.start(FAKE_PIP_ERROR=OFFLINE, FAKE_NO_ROUTE="1")
    assert_user_error(
        result,
        "firstwords: cannot install torch==2, numpy==1: no network; connect to the internet",
        "run the same command again to resume",
    )
    existing = checkout.root / ".venv" / "existing"
    existing.touch()
    result = checkout.start(FAKE_MISSING="torch==2")
    assert result.returncode == 0
    assert "installing torch==2 into" in result.stderr
    assert existing.exists()


def test_a_proxy_without_a_route_is_no_missing_network(checkout: Checkout) -> None:
    checkout.add_python()
    error = "Could not fetch URL https://pip.example/numpy/: proxy connection error: refused"
    result = checkout.start(FAKE_PIP_ERROR=error, FAKE_NO_ROUTE="1")
    assert_user_error(result, "cannot reach pip.example", "https_proxy")


# --- PyTorch's own index cannot be reached --------------------------------------------------------

UNREACHABLE = {
    "FAKE_NO_WHEEL": "1",
    "FAKE_UV_ERROR": "error: Request failed after 3 retries\n"
    "  cause: Failed to fetch: https://torch.example/whl/cpu/torch/\n  cause: dns error",
}
VERSION = re.findall(r'"torch==(.+)"', (ROOT / "pyproject.toml").read_text())[0]
PYPI_ONLY = UNREACHABLE | {"FAKE_VERSIONS": f"9.9.9, {VERSION}, 1.13.0"}
PROBLEM = f"cannot install the CPU build of torch=={VERSION}: cannot reach torch.example"


def installs_cuda(checkout: Checkout) -> bool:
    torch = [call for call in checkout.pip_calls() if call.endswith(f" torch=={VERSION}")]
    return any("--no-deps" not in call for call in torch)


@linux_only
def test_the_build_with_cuda_is_not_installed_without_permission(checkout: Checkout) -> None:
    checkout.add_python()
    result = checkout.start(**PYPI_ONLY)
    assert_user_error(
        result,
        f"{PROBLEM}; set https_proxy to reach it, or FIRSTWORDS_ALLOW_CUDA_BUILD=1 to install",
        "contains CUDA (about 3 GB to download, 9.0 GB of disk)",
        "run the same command again to resume",
    )
    assert not installs_cuda(checkout)
    result = checkout.start(**PYPI_ONLY, FIRSTWORDS_ALLOW_CUDA_BUILD="1")
    assert result.returncode == 0, result.stderr
    assert f"{PROBLEM}; installing the build of pip's index" in result.stderr
    assert installs_cuda(checkout)


@linux_only
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 2), ("no", 2)])
def test_a_person_is_asked_before_cuda_is_installed(
    checkout: Checkout, answer: str, code: int
) -> None:
    checkout.add_python()
    status, output = checkout.start_on_terminal(answer, **PYPI_ONLY)
    assert status == code, output
    assert PROBLEM in output
    assert "contains CUDA (about 3 GB to download, 9.0 GB of disk)? [y/N]" in output
    assert installs_cuda(checkout) == (code == 0)


@linux_only
def test_the_disk_is_checked_before_cuda_is_installed(checkout: Checkout) -> None:
    checkout.add_python()
    env = PYPI_ONLY | {"FIRSTWORDS_ALLOW_CUDA_BUILD": "1", "FAKE_FREE_MB": "2000"}
    assert_user_error(checkout.start(**env), "disk is full", "only 2000 MB are free", lines=3)
    assert not installs_cuda(checkout)


@linux_only
def test_a_mirror_of_the_cpu_build_needs_no_permission(checkout: Checkout) -> None:
    checkout.add_python()
    versions = f"{VERSION}+cpu, {VERSION}"
    result = checkout.start(**UNREACHABLE, FAKE_VERSIONS=versions)
    assert result.returncode == 0, result.stderr
    assert checkout.pip_calls()[-2].endswith(f" --no-deps torch=={VERSION}+cpu")


@linux_only
def test_without_any_index_that_has_torch_the_unreachable_one_is_named(checkout: Checkout) -> None:
    checkout.add_python()
    result = checkout.start(**UNREACHABLE, FAKE_VERSIONS="1.13.0", FAKE_MISSING="torch==2")
    assert_user_error(result, "cannot install torch==2: cannot reach torch.example; check")
    result = checkout.start(**PYPI_ONLY, FAKE_MISSING="torch==2", FAKE_NO_ROUTE="1")
    assert_user_error(result, "cannot install torch==2: no network; connect to the internet")


@linux_only
def test_another_error_of_uv_is_quoted(checkout: Checkout) -> None:
    checkout.add_python()
    env = PYPI_ONLY | {"FAKE_UV_ERROR": "no wheel for this platform"}
    result = checkout.start(**env)
    assert result.returncode == 2
    assert result.stderr.splitlines()[1] == "no wheel for this platform"
    assert not installs_cuda(checkout)


# --- unknown errors, real pip ---------------------------------------------------------------------


def test_an_unknown_error_of_pip_is_quoted_in_part(checkout: Checkout) -> None:
    checkout.add_python()
    error = "\n".join(f"line {number}" for number in range(100)) + "\nWARNING: irrelevant"
    result = checkout.start(FAKE_PIP_ERROR=error)
    assert result.returncode == 2
    _, *quoted, last = result.stderr.splitlines()
    assert quoted == [f"line {number}" for number in range(95, 100)]
    assert "setup.log" in last
    assert "line 0\n" in (checkout.root / ".venv" / "setup.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no permission to mount a small disk: {mounted.stderr.strip()}")
    try:
        root = copy_checkout(disk / "checkout")
        env = {"PATH": os.environ["PATH"], "FIRSTWORDS_PYTHON": sys.executable}
        command = ["bash", str(root / "scripts" / "local_cpu_train.sh")]
        assert_user_error(
            run(command, env, tmp_path), "disk is full", "MB are needed", "MB are free"
        )
        # Now no byte is free, not even for a directory.
        shutil.rmtree(root / ".venv")
        fill = subprocess.run(
            ["dd", "if=/dev/zero", f"of={disk}/rest"], capture_output=True, check=False
        )
        assert fill.returncode == 1
        assert_user_error(run(command, env, tmp_path), "disk")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def no_network_prefix() -> list[str]:
    """Return a command prefix that disables the network, or [] if that is not permitted."""
    for prefix in (["unshare", "-n"], ["unshare", "-rn"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
        ):
            return prefix
    return []


@pytest.mark.slow
def test_a_missing_network_is_reported(tmp_path: Path) -> None:
    """With the real pip, an empty cache and no pip configuration."""
    prefix = no_network_prefix()
    if not prefix:
        pytest.skip("no permission to disable the network")
    root = copy_checkout(tmp_path / "checkout")
    env = {
        "PATH": os.environ["PATH"],
        "FIRSTWORDS_PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(tmp_path / "cache"),
    }
    command = [*prefix, "bash", str(root / "scripts" / "local_cpu_train.sh")]
    result = run(command, env, tmp_path)
    assert_user_error(result, "cannot install torch==", " more: no network; connect")
