"""The batch script: what it asks Slurm for, and what it does where stand-ins take Slurm's place."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench
from sites import program, write_site

from firstwords.cli import run_command
from firstwords.slurm.script import render, sample
from firstwords.slurm.site import read_site

ROOT = Path(__file__).parents[2]
SPEEDRUN = ROOT / "scripts" / "speedrun.slurm"

# srun runs the command once and keeps a list; the command's first words decide how it ends.
SRUN = r"""
while [[ $1 == --* ]]; do shift; done
echo "$@" >>"$LOG"
case "$*" in
  *"slurm check"*) exit "${CHECK:-0}" ;;
  *meeting*) exit "${MEETING:-0}" ;;
  *train*)
    mkdir -p "$FIRSTWORDS_HOME/runs/x/checkpoints/base/1"
    if [ "${UNTIL_TERM:-}" ]; then
      trap 'told=yes' TERM
      kill -USR1 "$PPID"
      until [ "${told:-}" ]; do sleep 0.05; done
    fi
    [ -z "${SAVES:-}" ] || touch "$FIRSTWORDS_HOME/runs/x/checkpoints/base/1/training.json"
    exit "${TRAIN:-0}" ;;
esac
"""


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    return Bench(tmp_path, home)


def rendered(bench: Bench, sweep: list[dict[str, Any]] | None = None, **fields: Any) -> str:
    return render(read_site(write_site(bench, sweep, **fields)))


def asked(script: str) -> dict[str, str]:
    """What sbatch would read."""
    header = script[: script.index("\nsay()")]
    found = re.findall(r"^#SBATCH (--[a-z-]+)(?:=(.*))?$", header, re.MULTILINE)
    assert len(found) == script.count("\n#SBATCH"), "an option that sbatch would not see"
    return dict(found)


# --- what it says ---------------------------------------------------------------------------------


def test_the_header_asks_for_what_the_site_says(bench: Bench) -> None:
    script = rendered(
        bench,
        job__nodes=2,
        job__gpus=8,
        job__gpu_type="h100",
        job__cpus=64,
        job__memory="500G",
        job__limit="26h",
        job__warning="10m",
        cluster__account="lab",
        cluster__qos="night",
        cluster__mail="ada@example.org",
        cluster__options=["--exclusive", "--constraint=a&b"],
    )
    assert asked(script) == {
        "--job-name": "x",
        "--account": "lab",
        "--partition": "gpu",
        "--qos": "night",
        "--nodes": "2",
        "--ntasks-per-node": "1",
        "--cpus-per-task": "64",
        "--mem": "500G",
        "--gres": "gpu:h100:8",
        "--exclusive": "",
        "--constraint": "a&b",
        "--time": "26:00:00",
        "--signal": "B:USR1@600",
        "--requeue": "",
        "--output": "%x-%j.log",
        "--open-mode": "append",
        "--mail-user": "ada@example.org",
        "--mail-type": "BEGIN,END,FAIL,REQUEUE",
    }


def test_what_the_site_leaves_out_is_left_to_the_cluster(bench: Bench) -> None:
    options = asked(rendered(bench, job__on_limit="chain"))
    assert not {"--account", "--qos", "--gres", "--mail-user", "--array"} & set(options)
    assert "--no-requeue" in options
    assert options["--time"] == "2:00"


def test_a_sweep_is_an_array(bench: Bench) -> None:
    sweep = [{"name": "a", "seed": 1}, {"name": "b"}, {"name": "c"}]
    options = asked(rendered(bench, sweep, job__at_once=2))
    assert options["--array"] == "0-2%2"
    assert options["--output"] == "%x-%A_%a.log"
    assert asked(rendered(bench, sweep))["--array"] == "0-2"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"job__nodes": 2, "job__processes": 2, "job__cpus": 4, "job__on_limit": "chain"},
        {"cluster__internet": "proxy", "cluster__proxy": "http://p:3128"},
        {"cluster__modules": ["gcc/13", "cuda"], "cluster__interface": "ib0"},
        {"paths__scratch": "/tmp", "run__set": {"base.steps": 3}, "run__data": "$HOME/a b"},
    ],
)
@pytest.mark.parametrize("sweep", [None, [{"name": "a"}, {"name": "b"}]])
def test_every_script_is_clean_bash(
    fields: dict[str, Any], sweep: list[dict[str, Any]] | None, bench: Bench
) -> None:
    path = bench.root / "job.slurm"
    path.write_text(rendered(bench, sweep, **fields))
    subprocess.run(["bash", "-n", path], check=True)
    if shutil.which("shellcheck"):
        command = ["shellcheck", "--exclude=SC1091", path]  # /etc/profile is another's
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_speedrun_is_what_the_sample_makes() -> None:
    """firstwords slurm render --site src/firstwords/slurm/site.toml --out scripts/speedrun.slurm"""
    site = ROOT / "src" / "firstwords" / "slurm" / "site.toml"
    assert sample() == site.read_text()
    assert SPEEDRUN.read_text() == render(read_site(site))


def test_the_sample_knows_every_field(tmp_path: Path, home: Path) -> None:
    """Also those that are commented out."""
    path = tmp_path / "mine.toml"
    assert run_command(["slurm", "init", str(path)]) == 0
    comments = re.compile(r"^# ((?:\w+ = |\[\[).*)$", re.MULTILINE)
    text = comments.sub(r"\1", path.read_text())
    path.write_text(text.replace('internet = "none"', 'internet = "proxy"'))
    site = read_site(path)
    for table in (site.run, site.job, site.cluster, site.paths):
        assert table.model_fields_set == set(type(table).model_fields), table
    assert len(site.runs) == 2


def test_init_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    assert run_command(["slurm", "init", str(path)]) == 2
    assert path.read_text() == "precious"
    assert "is there already" in capsys.readouterr().err


def test_render_prints_the_script_and_nothing_else(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    site = write_site(bench)
    assert run_command(["slurm", "render", "--site", str(site)]) == 0
    shown = capsys.readouterr()
    assert shown.out == render(read_site(site))
    assert shown.err == ""
    out = bench.root / "job.slurm"
    assert run_command(["slurm", "render", "--site", str(site), "--out", str(out)]) == 0
    assert out.read_text() == shown.out


# --- what it does ---------------------------------------------------------------------------------


class Played:
    """A script that was run with stand-ins."""

    def __init__(self, bench: Bench, script: str, *arguments: str, **env: str) -> None:
        programs, self.log = bench.root / "programs", bench.root / "log"
        path = bench.root / "job.slurm"
        path.write_text(script)
        site = bench.root / "any.toml"
        site.touch()
        program(programs, "srun", SRUN)
        program(
            programs,
            "scancel",
            'echo "scancel $@" >>"$LOG"; kill -TERM "$(pgrep -P $PPID -f srun)"',
        )
        program(programs, "scontrol", 'echo "scontrol $@" >>"$LOG"; echo NodeAddr=10.0.0.7 X=1')
        variables = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LOG": str(self.log),
            "SLURM_JOB_ID": "7",
            "SLURM_CPUS_PER_TASK": "4",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_NNODES": "2",
            "SLURMD_NODENAME": "node1",
            "HOME": str(bench.root),
        }
        done = subprocess.run(
            ["bash", path, site, *arguments],
            env=variables | env,
            cwd=bench.cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.code, self.said = done.returncode, done.stdout + done.stderr
        self.commands = self.log.read_text().splitlines() if self.log.exists() else []

    def trained(self) -> list[str]:
        return [line for line in self.commands if " train " in line]


def test_a_job_checks_then_trains(bench: Bench) -> None:
    played = Played(bench, rendered(bench, run__seed=3, run__set={"base.steps": 5}))
    assert played.code == 0, played.said
    check, train = played.commands
    assert f"-m firstwords slurm check --site {bench.root / 'any.toml'}" in check
    assert train.endswith(
        f"-m firstwords train --run x --time 1m --recipe {bench.recipe} --data {bench.text} "
        f"--chat-data {bench.chat} --seed 3 --set base.steps=5"
    )
    assert "torch.distributed" not in train
    assert "start 1, on node[1-2]" in played.said
    assert f"done: {bench.home}/runs/x/report.md" in played.said


def test_many_processes_meet_before_they_train(bench: Bench) -> None:
    played = Played(bench, rendered(bench, job__nodes=2, job__processes=2, job__cpus=4))
    assert played.code == 0, played.said
    _, _, meeting, train = played.commands
    assert meeting.endswith("-m -- firstwords.slurm.meeting")
    for word in ("--nnodes=2", "--nproc-per-node=2", "--rdzv-endpoint=10.0.0.7:", "--rdzv-id=7"):
        assert word in meeting
        assert word in train
    assert "-m -- firstwords train --run x" in train


def test_processes_that_do_not_meet_do_not_train(bench: Bench) -> None:
    played = Played(bench, rendered(bench, job__nodes=2), MEETING="1")
    assert played.code == 2
    assert "cluster.interface" in played.said
    assert not played.trained()


def test_a_job_that_is_not_ready_trains_nothing(bench: Bench) -> None:
    played = Played(bench, rendered(bench), CHECK="2")
    assert played.code == 2
    assert "nothing was trained" in played.said
    assert not played.trained()


def test_a_job_that_is_to_check_only_trains_nothing(bench: Bench) -> None:
    played = Played(bench, rendered(bench), "check")
    assert played.code == 0
    assert "ready to train" in played.said
    assert not played.trained()


def test_a_python_that_a_node_does_not_see_is_named(bench: Bench) -> None:
    played = Played(bench, rendered(bench, paths__python="$HOME/absent/python"))
    assert played.code == 2
    assert f"{bench.root}/absent/python" in played.said
    assert "paths.python" in played.said
    assert not played.commands


def test_without_its_site_file_a_script_says_how_it_is_called(bench: Bench) -> None:
    path = bench.root / "job.slurm"
    path.write_text(rendered(bench))
    done = subprocess.run(["bash", path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "sbatch SCRIPT SITE.toml" in done.stderr


def test_a_variable_that_is_not_set_on_a_node_is_named(bench: Bench) -> None:
    played = Played(bench, rendered(bench, paths__home="$NO_SUCH_PLACE/home"))
    assert played.code != 0
    assert "NO_SUCH_PLACE" in played.said
    assert not played.commands


def test_training_that_fails_fails_the_job(bench: Bench) -> None:
    played = Played(bench, rendered(bench), TRAIN="1", SAVES="1")
    assert played.code == 1
    assert "ended with code 1" in played.said
    assert not any("requeue" in line for line in played.commands)


def test_when_time_is_up_training_saves_and_the_job_is_requeued(bench: Bench) -> None:
    played = Played(bench, rendered(bench), UNTIL_TERM="1", SAVES="1", TRAIN="130")
    assert played.code == 0, played.said
    assert played.commands[-2:] == ["scancel --signal=TERM 7", "scontrol requeue 7"]
    assert "back into the queue" in played.said


def test_in_a_chain_the_next_job_goes_on(bench: Bench) -> None:
    script = rendered(bench, job__on_limit="chain")
    played = Played(bench, script, UNTIL_TERM="1", SAVES="1", TRAIN="130")
    assert played.code == 0, played.said
    assert played.commands[-1] == "scancel --signal=TERM 7"
    assert "the next job of the chain goes on" in played.said


def test_a_job_that_finished_nothing_is_not_requeued(bench: Bench) -> None:
    """It would be followed by another such, without end."""
    earlier = bench.directory("x") / "checkpoints" / "base" / "0" / "training.json"
    earlier.parent.mkdir(parents=True)
    earlier.touch()  # by a job before this one
    played = Played(bench, rendered(bench), UNTIL_TERM="1", TRAIN="130")
    assert played.code == 2
    assert "job.limit" in played.said
    assert "requeue" not in played.commands[-1]


def test_training_that_ends_just_in_time_is_done(bench: Bench) -> None:
    played = Played(bench, rendered(bench), UNTIL_TERM="1", SAVES="1")
    assert played.code == 0
    assert "done: " in played.said
    assert "requeue" not in played.commands[-1]


def test_a_job_of_an_array_takes_its_own_run(bench: Bench) -> None:
    script = rendered(bench, [{"name": "a"}, {"name": "b", "seed": 9}])
    played = Played(bench, script, SLURM_ARRAY_TASK_ID="1")
    assert played.code == 0, played.said
    assert "--run x-b " in played.trained()[0]
    assert "--seed 9" in played.trained()[0]
    outside = Played(bench, script, SLURM_ARRAY_TASK_ID="2")
    assert outside.code == 2
    assert "--array=0-1" in outside.said


def test_nodes_without_internet_are_told_so(bench: Bench) -> None:
    shows = 'env >>"$LOG"'
    for internet, wanted in (
        ({}, "HF_HUB_OFFLINE=1"),
        ({"cluster__internet": "proxy", "cluster__proxy": "http://p:1"}, "https_proxy=http://p:1"),
        ({"cluster__interface": "ib0"}, "NCCL_SOCKET_IFNAME=ib0"),
        ({"paths__scratch": "$HOME/s"}, f"TMPDIR={bench.root}/s"),
    ):
        script = rendered(bench, **internet).replace("step() {", f"{shows}\nstep() {{")
        assert wanted in Played(bench, script).commands


def test_a_module_that_is_not_there_is_named(bench: Bench) -> None:
    script = rendered(bench, cluster__modules=["gcc/13", "cuda/99"])
    module = 'module() { echo "module $*" >>"$LOG"; [ "$2" != cuda/99 ]; }\n'
    played = Played(bench, module + script)
    assert played.code == 2
    assert "no module cuda/99" in played.said
    assert played.commands == ["module load gcc/13", "module load cuda/99"]
