"""A checkout on a machine whose git converts line endings."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def test_scripts_keep_their_line_endings(tmp_path: Path) -> None:
    if not shutil.which("git") or not (CHECKOUT / ".git").exists():
        pytest.skip("needs git and a clone")
    git = ["git", "-C", str(CHECKOUT), "-c", "core.autocrlf=true", "-c", "safe.directory=*"]
    scripts = [*CHECKOUT.glob("scripts/*.sh"), *CHECKOUT.glob("scripts/*.slurm")]
    names = [str(path.relative_to(CHECKOUT)) for path in scripts] + [".ci/run"]
    for option in ("--cached", "--others"):  # as tracked, or about to be
        listed = subprocess.run(
            [*git, "ls-files", "--eol", option, *names], capture_output=True, text=True, check=True
        )
        assert all("eol=lf" in line for line in listed.stdout.splitlines()), listed.stdout
    index = [*git, "checkout-index", f"--prefix={tmp_path}/", *names]
    subprocess.run(index, check=True)
    assert not [name for name in names if b"\r" in (tmp_path / name).read_bytes()]
