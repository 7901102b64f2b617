"""The batch script: its #SBATCH options, and its behaviour with fake Slurm commands."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench
from sites import write_program, write_site
from waiting import LIMIT_SECONDS

from firstwords.cli.main import run_command
from firstwords.slurm.script import render_script, sample_site
from firstwords.slurm.site import read_site

ROOT = Path(__file__).parents[2]
SPEEDRUN = ROOT / "scripts" / "speedrun.slurm"

# srun logs its command. Variables set exit codes, and whether training waits for TERM and saves.
SRUN = r"""
while [[ $1 == --* ]]; do shift; done
echo "$@" >>"$LOG"
case "$*" in
  *"slurm check"*) exit "${CHECK:-0}" ;;
  *rendezvous*) exit "${RENDEZVOUS:-0}" ;;
  *train*)
    mkdir -p "$FIRSTWORDS_HOME/runs/x/checkpoints/pretrain/1"
    if [ "${UNTIL_TERM:-}" ]; then
      trap 'term=yes' TERM
      kill -USR1 "$PPID"
      until [ "${term:-}" ]; do sleep 0.05; done
    fi
    [ -z "${SAVES:-}" ] || touch "$FIRSTWORDS_HOME/runs/x/checkpoints/pretrain/1/training.json"
    exit "${TRAIN:-0}" ;;
esac
"""


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    return Bench(tmp_path, home)


def rendered(bench: Bench, sweep: list[dict[str, Any]] | None = None, **fields: Any) -> str:
    return render_script(read_site(write_site(bench, sweep, **fields)))


def sbatch_options(script: str) -> dict[str, str]:
    """Return the options in the header of a script."""
    header = script[: script.index("\nsay()")]
    options = re.findall(r"^#SBATCH (--[a-z-]+)(?:=(.*))?$", header, re.MULTILINE)
    assert len(options) == script.count("\n#SBATCH"), "an option that sbatch would not see"
    return dict(options)


# --- header ---------------------------------------------------------------------------------------


def test_the_header_has_the_options_of_the_site(bench: Bench) -> None:
    script = rendered(
        bench,
        job__nodes=2,
        job__gpus_per_node=8,
        job__gpu_type="h100",
        job__cpus_per_node=64,
        job__memory_per_node="500G",
        job__time_limit="26h",
        job__save_time="10m",
        cluster__account="lab",
        cluster__qos="night",
        cluster__mail_user="ada@example.org",
        cluster__sbatch_options=["--exclusive", "--constraint=a&b"],
    )
    assert sbatch_options(script) == {
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


def test_the_options_of_a_mixture_are_repeated(bench: Bench) -> None:
    mixture = ["$HOME/family.jsonl:0.3", "starter:0.7"]
    script = rendered(bench, run__chat_data=mixture)
    assert '--chat-data "$HOME/family.jsonl:0.3"' in script
    assert "--chat-data starter:0.7" in script


def test_the_header_omits_unset_options(bench: Bench) -> None:
    options = sbatch_options(rendered(bench, job__on_time_limit="chain"))
    assert not {"--account", "--qos", "--gres", "--mail-user", "--array"} & set(options)
    assert "--no-requeue" in options
    assert options["--time"] == "2:00"


def test_a_sweep_is_a_job_array(bench: Bench) -> None:
    sweep = [{"name": "a", "seed": 1}, {"name": "b"}, {"name": "c"}]
    options = sbatch_options(rendered(bench, sweep, job__max_concurrent_runs=2))
    assert options["--array"] == "0-2%2"
    assert options["--output"] == "%x-%A_%a.log"
    assert sbatch_options(rendered(bench, sweep))["--array"] == "0-2"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {
            "job__nodes": 2,
            "job__processes_per_node": 2,
            "job__cpus_per_node": 4,
            "job__on_time_limit": "chain",
        },
        {"cluster__internet": "proxy", "cluster__proxy": "http://p:3128"},
        {"cluster__modules": ["gcc/13", "cuda"], "cluster__network_interface": "ib0"},
        {"paths__scratch": "/tmp", "run__set": {"pretrain.steps": 3}, "run__data": "$HOME/a b"},
    ],
)
@pytest.mark.parametrize("sweep", [None, [{"name": "a"}, {"name": "b"}]])
def test_every_script_is_valid_bash(
    fields: dict[str, Any], sweep: list[dict[str, Any]] | None, bench: Bench
) -> None:
    path = bench.root / "job.slurm"
    path.write_text(rendered(bench, sweep, **fields))
    subprocess.run(["bash", "-n", path], check=True)
    if shutil.which("shellcheck"):
        command = ["shellcheck", "--exclude=SC1091", path]  # /etc/profile is not ours
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_speedrun_slurm_is_rendered_from_the_sample() -> None:
    """firstwords slurm render --site src/firstwords/slurm/site.toml --out scripts/speedrun.slurm"""
    site = ROOT / "src" / "firstwords" / "slurm" / "site.toml"
    assert sample_site() == site.read_text()
    assert SPEEDRUN.read_text() == render_script(read_site(site))


def test_the_sample_has_every_field(tmp_path: Path, home: Path) -> None:
    """Commented-out fields included."""
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
    assert "already exists" in capsys.readouterr().err


def test_render_prints_only_the_script(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    site = write_site(bench)
    assert run_command(["slurm", "render", "--site", str(site)]) == 0
    shown = capsys.readouterr()
    assert shown.out == render_script(read_site(site))
    assert shown.err == ""
    out = bench.root / "job.slurm"
    assert run_command(["slurm", "render", "--site", str(site), "--out", str(out)]) == 0
    assert out.read_text() == shown.out


# --- execution -----------------------------------------------------------------------------------


class ScriptRun:
    """A script that was run with fake Slurm commands: its exit code, output and srun commands."""

    def __init__(self, bench: Bench, script: str, *arguments: str, **env: str) -> None:
        programs, self.log = bench.root / "programs", bench.root / "log"
        path = bench.root / "job.slurm"
        path.write_text(script)
        site = bench.root / "any.toml"
        site.touch()
        write_program(programs, "srun", SRUN)
        write_program(
            programs,
            "scancel",
            'echo "scancel $@" >>"$LOG"; kill -TERM "$(pgrep -P $PPID -f srun)"',
        )
        write_program(
            programs, "scontrol", 'echo "scontrol $@" >>"$LOG"; echo NodeAddr=10.0.0.7 X=1'
        )
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
            timeout=LIMIT_SECONDS,
            check=False,
        )
        self.code, self.output = done.returncode, done.stdout + done.stderr
        self.commands = self.log.read_text().splitlines() if self.log.exists() else []

    def train_commands(self) -> list[str]:
        return [line for line in self.commands if " train " in line]


def test_a_job_checks_then_trains(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench, run__seed=3, run__set={"pretrain.steps": 5}))
    assert result.code == 0, result.output
    check, train = result.commands
    assert f"-m firstwords slurm check --site {bench.root / 'any.toml'}" in check
    assert train.endswith(
        f"-m firstwords train --run x --time 1m --recipe {bench.recipe} --data {bench.text} "
        f"--chat-data {bench.chat} --seed 3 --set pretrain.steps=5"
    )
    assert "torch.distributed" not in train
    assert "start 1, on node[1-2]" in result.output
    assert f"finished; report: {bench.home}/runs/x/report.md" in result.output


def test_several_processes_connect_before_training(bench: Bench) -> None:
    result = ScriptRun(
        bench, rendered(bench, job__nodes=2, job__processes_per_node=2, job__cpus_per_node=4)
    )
    assert result.code == 0, result.output
    _, _, rendezvous, train = result.commands
    assert rendezvous.endswith("-m -- firstwords.slurm.rendezvous")
    for word in ("--nnodes=2", "--nproc-per-node=2", "--rdzv-endpoint=10.0.0.7:", "--rdzv-id=7"):
        assert word in rendezvous
        assert word in train
    assert "-m -- firstwords train --run x" in train


def test_a_failed_rendezvous_prevents_training(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench, job__nodes=2), RENDEZVOUS="1")
    assert result.code == 2
    assert "cluster.network_interface" in result.output
    assert not result.train_commands()


def test_a_failed_check_prevents_training(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench), CHECK="2")
    assert result.code == 2
    assert "training not started" in result.output
    assert not result.train_commands()


def test_a_check_job_trains_nothing(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench), "check")
    assert result.code == 0
    assert "preflight passed" in result.output
    assert not result.train_commands()


def test_a_python_that_the_node_does_not_see_is_named(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench, paths__python="$HOME/absent/python"))
    assert result.code == 2
    assert f"{bench.root}/absent/python" in result.output
    assert "paths.python" in result.output
    assert not result.commands


def test_a_script_without_a_site_file_prints_its_usage(bench: Bench) -> None:
    path = bench.root / "job.slurm"
    path.write_text(rendered(bench))
    done = subprocess.run(["bash", path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "sbatch SCRIPT SITE.toml" in done.stderr


def test_a_variable_that_the_node_does_not_set_is_named(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench, paths__home="$NO_SUCH_PLACE/home"))
    assert result.code != 0
    assert "NO_SUCH_PLACE" in result.output
    assert not result.commands


def test_failed_training_fails_the_job(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench), TRAIN="1", SAVES="1")
    assert result.code == 1
    assert "failed with exit code 1" in result.output
    assert not any("requeue" in line for line in result.commands)


def test_at_the_time_limit_training_saves_and_the_job_is_requeued(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench), UNTIL_TERM="1", SAVES="1", TRAIN="130")
    assert result.code == 0, result.output
    assert result.commands[-2:] == ["scancel --signal=TERM 7", "scontrol requeue 7"]
    assert "saved; requeueing" in result.output


def test_at_the_time_limit_a_chain_continues_with_the_next_job(bench: Bench) -> None:
    script = rendered(bench, job__on_time_limit="chain")
    result = ScriptRun(bench, script, UNTIL_TERM="1", SAVES="1", TRAIN="130")
    assert result.code == 0, result.output
    assert result.commands[-1] == "scancel --signal=TERM 7"
    assert "the next job of the chain resumes" in result.output


def test_a_job_without_progress_is_not_requeued(bench: Bench) -> None:
    """Or it would be requeued forever."""
    earlier = bench.directory("x") / "checkpoints" / "pretrain" / "0" / "training.json"
    earlier.parent.mkdir(parents=True)
    earlier.touch()  # saved by an earlier job
    result = ScriptRun(bench, rendered(bench), UNTIL_TERM="1", TRAIN="130")
    assert result.code == 2
    assert "job.time_limit" in result.output
    assert "requeue" not in result.commands[-1]


def test_training_that_finishes_while_saving_is_not_requeued(bench: Bench) -> None:
    result = ScriptRun(bench, rendered(bench), UNTIL_TERM="1", SAVES="1")
    assert result.code == 0
    assert "finished; report: " in result.output
    assert "requeue" not in result.commands[-1]


def test_an_array_task_trains_its_own_run(bench: Bench) -> None:
    script = rendered(bench, [{"name": "a"}, {"name": "b", "seed": 9}])
    result = ScriptRun(bench, script, SLURM_ARRAY_TASK_ID="1")
    assert result.code == 0, result.output
    assert "--run x-b " in result.train_commands()[0]
    assert "--seed 9" in result.train_commands()[0]
    outside = ScriptRun(bench, script, SLURM_ARRAY_TASK_ID="2")
    assert outside.code == 2
    assert "--array=0-1" in outside.output


def test_network_and_scratch_set_environment_variables(bench: Bench) -> None:
    log_environment = 'env >>"$LOG"'
    for fields, variable in (
        ({}, "HF_HUB_OFFLINE=1"),
        ({"cluster__internet": "proxy", "cluster__proxy": "http://p:1"}, "https_proxy=http://p:1"),
        ({"cluster__network_interface": "ib0"}, "NCCL_SOCKET_IFNAME=ib0"),
        ({"paths__scratch": "$HOME/s"}, f"TMPDIR={bench.root}/s"),
    ):
        script = rendered(bench, **fields).replace("step() {", f"{log_environment}\nstep() {{")
        assert variable in ScriptRun(bench, script).commands


def test_a_missing_module_is_named(bench: Bench) -> None:
    script = rendered(bench, cluster__modules=["gcc/13", "cuda/99"])
    module = 'module() { echo "module $*" >>"$LOG"; [ "$2" != cuda/99 ]; }\n'
    result = ScriptRun(bench, module + script)
    assert result.code == 2
    assert "has no module cuda/99" in result.output
    assert result.commands == ["module load gcc/13", "module load cuda/99"]
