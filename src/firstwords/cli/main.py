"""The `firstwords` command: its subcommands, and the exit code of every failure."""

import os
import sys

import click

from firstwords import __version__
from firstwords.cli.bench import bench
from firstwords.cli.chat import chat
from firstwords.cli.compare import compare
from firstwords.cli.data import data
from firstwords.cli.evaluate import evaluate, report
from firstwords.cli.export import export
from firstwords.cli.lab import lab
from firstwords.cli.plan import plan
from firstwords.cli.rollout import rollout
from firstwords.cli.runs import runs
from firstwords.cli.serve import serve
from firstwords.cli.slurm import slurm
from firstwords.cli.sweep import sweep
from firstwords.cli.trace import trace
from firstwords.cli.train import midtrain, pretrain, rl, sft, tokenizer, train
from firstwords.cli.xray import xray
from firstwords.common import disk, hardware, terminal
from firstwords.common.errors import Diverged, Interrupted, ReportedError, UserError
from firstwords.common.packages import install_command

EXTRAS = {  # packages that only some commands need, and the extra that installs each
    "uvicorn": "serve",
    "fastapi": "serve",
    "starlette": "serve",
    "prometheus_client": "serve",
    "gguf": "export",
    "pypdf": "documents",
    "pyarrow": "data",
}


def main() -> None:
    """Run the command; exit with its code."""
    # A waiting OpenMP thread spins before it sleeps. By default it spins so long that another
    # program on one core slows training down by a factor of twenty; with this it is as fast on an
    # idle machine (docs/lab-notebook.md#waiting-threads). torch reads it when it is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    terminal.prepare_streams()
    if not hardware.has_user_name():  # torch.compile asks for it
        os.environ["LOGNAME"] = "unknown"
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run a command line; turn every failure that a user can cause into one line on stderr and an
    exit code."""
    try:
        code = cli.main(args=arguments, prog_name="firstwords", standalone_mode=False)
    except click.ClickException as error:
        return _fail(f"{_lower_first(error.format_message())} (see firstwords --help)", 2)
    except ReportedError as error:
        return error.exit_code
    except UserError as error:
        return _fail(str(error), error.exit_code)
    except (Interrupted, click.Abort, KeyboardInterrupt) as error:
        where = f" ({error})" if str(error) else ""
        return _fail(
            f"interrupted{where}; run the same command again to resume", Interrupted.exit_code
        )
    except Diverged as error:
        hint = "start another run with lower learning rates in its recipe"
        return _fail(f"training diverged, {error}; {hint}", error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        hint = f"run: {install_command(f'firstwords[{EXTRAS[error.name]}]')}"
        return _fail(f"this command needs {error.name}, which is not installed; {hint}", 2)
    except BrokenPipeError:
        terminal.discard(sys.stdout)
        return 1
    except (MemoryError, RuntimeError) as error:
        return _out_of_memory(error)
    except OSError as error:
        line = disk.explain(error)
        if line is None:
            raise
        return _fail(line, 1)
    return code if isinstance(code, int) else 0  # the code that a command asked to exit with


def _out_of_memory(error: MemoryError | RuntimeError) -> int:
    """Report an allocation that failed; re-raise any other error."""
    if "CUDA out of memory" in str(error):
        return _fail(
            "the GPU is out of memory; stop other programs that use it, or start another run with "
            "smaller micro-batches (--set pretrain.micro_batch_size=1, likewise midtrain and sft)",
            1,
        )
    if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
        raise error
    return _fail(
        "out of memory; close other programs, or raise the limit of the container, the job or "
        "ulimit -v, then run the same command again to resume; nothing is lost",
        1,
    )


def _fail(message: str, code: int) -> int:
    click.echo(f"firstwords: {terminal.printable(' '.join(message.split()))}", err=True)
    return code


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


class OrderedGroup(click.Group):
    """Lists its commands in the order of the work instead of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=OrderedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="firstwords")
def cli() -> None:
    """Train a small chat model on the CPU of an ordinary laptop, and see every step.

    Start with `firstwords train`, then `firstwords chat`.
    """


for command in (
    *(train, tokenizer, pretrain, midtrain, sft, rl, plan, sweep, runs, compare),
    *(data, evaluate, bench, lab, trace, rollout, slurm, report, serve, xray, export, chat),
):
    cli.add_command(command)
