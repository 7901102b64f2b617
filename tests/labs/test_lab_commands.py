"""`firstwords lab`: its output, files and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_desk import SHORT, LabDesk, lab_named

from firstwords.labs import lab as labs
from firstwords.labs.catalog import LABS

Run = Callable[..., tuple[int, str, str]]
NewDesk = Callable[[str], LabDesk]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let experiments take a fiftieth of their steps."""
    settings = labs.LabSettings
    monkeypatch.setattr(labs, "LabSettings", lambda run_name: settings(run_name, effort=SHORT))


def test_list_shows_all_labs_and_their_state(lab_command: Run, home: Path) -> None:
    code, out, _ = lab_command()
    assert code == 0
    assert lab_command("list") == (0, out, "")
    lines = out.splitlines()[: len(LABS)]
    assert all(lab.title in line for lab, line in zip(LABS, lines, strict=True))
    assert all(line.endswith("open") for line in lines)


def test_start_creates_files_and_keeps_existing_ones(lab_command: Run, tmp_path: Path) -> None:
    code, out, _ = lab_command("start", "4")
    folder = tmp_path / "lab-4"
    assert code == 0
    assert {path.name for path in folder.iterdir()} == {"schedule.py", "prediction.toml"}
    assert "created: lab-4/schedule.py" in out
    assert "docs/labs/04-learning-rate.md" in out
    (folder / "schedule.py").write_text("mine = 1\n")
    (folder / "prediction.toml").unlink()
    code, out, _ = lab_command("start", "4")
    assert code == 0
    assert "unchanged: lab-4/schedule.py" in out
    assert "created: lab-4/prediction.toml" in out
    assert (folder / "schedule.py").read_text() == "mine = 1\n"


def test_start_creates_another_random_model_each_time(lab_command: Run, tmp_path: Path) -> None:
    configs = set()
    for directory in ("a", "b", "c", "d"):
        assert lab_command("start", "6", "--dir", directory)[0] == 0
        configs.add((tmp_path / directory / "config.json").read_text())
    assert len(configs) > 1


def test_check_of_an_untouched_lab_names_what_is_missing(lab_command: Run) -> None:
    lab_command("start", "4")
    code, out, _ = lab_command("check", "4")
    assert code == 1
    assert "not yet  no prediction for best, ten, diverges" in out
    assert "not written yet: lab-4/schedule.py, line " in out
    assert "hint: 10 steps, warmup 2" in out
    assert "experiment" not in out
    assert "not passed yet" in out
    assert "open" in lab_command()[1].splitlines()[3]


def test_check_of_a_solution_compares_and_records_it(
    lab_command: Run, desk: NewDesk, short: None, home: Path
) -> None:
    at = desk("learning_rate").predict().solve()
    code, out, _ = lab_command("check", "4")
    assert code == 0
    assert "predicted: about seven" in out
    assert "actual:" in out
    assert "\npassed" in out
    assert json.loads((home / "labs.json").read_text())["labs"]["4"]["passed"]
    assert "passed 20" in lab_command()[1].splitlines()[3]
    assert not (at.path / "__pycache__").exists()


@pytest.mark.usefixtures("short_training")
def test_failed_experiment_exits_with_1(lab_command: Run, desk: NewDesk, short: None) -> None:
    desk("your_name").predict().solve()
    code, out, _ = lab_command("check", "8")
    assert code == 1
    assert "it does not know the name yet" in out
    assert "open" in lab_command()[1].splitlines()[7]


def test_error_in_the_learners_code_is_shown_with_its_line(lab_command: Run, desk: NewDesk) -> None:
    desk("learning_rate").write("schedule.py", "def learning_rate(*arguments):\n    return 1 / 0\n")
    code, out, _ = lab_command("check", "4")
    assert code == 1
    assert "ZeroDivisionError: division by zero" in out
    assert "raised in lab-4/schedule.py, line 2" in out


def test_error_in_the_experiment_is_shown(lab_command: Run, desk: NewDesk, short: None) -> None:
    at = desk("learning_rate").predict().solve()
    # Only the short experiment has a warmup longer than the training.
    mistake = "    if warmup == 10 and steps == 2: oops\n"
    at.change("schedule.py", "    decay = ", mistake + "    decay = ")
    code, out, _ = lab_command("check", "4")
    assert code == 1
    assert "NameError: name 'oops' is not defined" in out


def test_hints_appear_one_by_one(lab_command: Run) -> None:
    hints = LABS[3].hints
    for count in (1, 2, 3, 3):
        code, out, _ = lab_command("hint", "4")
        assert code == 0
        assert f"{count} of {len(hints)}: " in out
        assert f"{count + 1} of" not in out
    assert "no more hints" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "1"], "the directory lab-1 does not exist"),
        (["check", "1", "--dir", "elsewhere"], "the directory elsewhere does not exist"),
        (["check", "12"], "there is no lab 12"),
        (["start", "12"], "there is no lab 12"),
        (["hint", "0"], "0 is not in the range"),
        (["check", "one"], "'one' is not a valid integer"),
        (["check", "4", "--run", "x"], "--run has no effect in lab 4"),
        (["wat"], "wat"),
    ],
    ids=" ".join,
)
def test_wrong_command_exits_with_2(arguments: list[str], message: str, lab_command: Run) -> None:
    code, out, err = lab_command(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_unknown_run_exits_with_2(lab_command: Run, desk: NewDesk) -> None:
    desk("your_name").predict().solve()
    code, _, err = lab_command("check", "8", "--run", "absent")
    assert code == 2
    assert "run absent does not exist" in err


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("schedule.py", None, "schedule.py is missing"),
        ("schedule.py", "def learning_rate(:\n", "schedule.py, line 1: "),
        ("schedule.py", "import nothing_of_that_name\n", "schedule.py, line 1: ModuleNotFound"),
        ("schedule.py", "raise SystemExit(0)\n", "schedule.py, line 1: SystemExit"),
        ("schedule.py", "other = 1\n", "schedule.py has no function learning_rate"),
        ("prediction.toml", None, "prediction.toml is missing"),
        ("prediction.toml", "best = \n", "prediction.toml is not valid"),
    ],
)
def test_malformed_folder_exits_with_2(
    file: str, text: str | None, message: str, lab_command: Run, desk: NewDesk
) -> None:
    at = desk("learning_rate").predict().solve()
    if text is None:
        (at.path / file).unlink()
    else:
        at.write(file, text)
    code, _, err = lab_command("check", "4")
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("lesson.jsonl", "{\n", "lesson.jsonl, line 1 is not JSON"),
        ("lesson.jsonl", '{"messages": []}\n', "lesson.jsonl, conversation 1"),
        ("lesson.jsonl", b"\xff", "not UTF-8"),
        ("lesson.toml", 'name = "Ada"\n', "lesson.toml: capital is not valid"),
        (
            "lesson.toml",
            'name = "a"\ncapital = "b"\nsteps = 9999\n',
            "lesson.toml: steps is not valid",
        ),
    ],
)
def test_malformed_lesson_exits_with_2(
    file: str, text: str | bytes, message: str, lab_command: Run, desk: NewDesk
) -> None:
    at = desk("your_name").predict().solve()
    (at.path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, err = lab_command("check", "8")
    assert code == 2
    assert message in err


def test_directory_that_is_a_file_is_an_error(lab_command: Run, tmp_path: Path, home: Path) -> None:
    (tmp_path / "taken").write_text("")
    code, _, err = lab_command("start", "1", "--dir", "taken")
    assert code == 2
    assert "--dir taken is a file" in err
    code, _, err = lab_command("start", "1", "--dir", "taken/inside")
    assert code == 2
    assert "taken/inside" in err


def test_damaged_labs_file_is_an_error(lab_command: Run, home: Path) -> None:
    home.mkdir()
    (home / "labs.json").write_text("{")
    code, _, err = lab_command("list")
    assert code == 2
    assert "labs.json is not valid" in err
    (home / "labs.json").write_text('{"labs": {"1": {"hints": -1}}}')
    code, _, err = lab_command("hint", "1")
    assert code == 2
    assert "labs.1.hints" in err


# --- pages and files ------------------------------------------------------------------------------


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_every_lab_has_a_page_and_templates(lab: labs.Lab) -> None:
    page = (ROOT / lab.page).read_text(encoding="utf-8")
    assert f"# Lab {lab.number}: {lab.title}" in page
    assert f"firstwords lab start {lab.number}" in page
    assert f"firstwords lab check {lab.number}" in page
    for part in ("## The question", "## Read first", "## Predict", "## Do", "## What to look for"):
        assert part in page
    assert page.count("<details>") == page.count("</details>") >= 1
    for name in lab.predict:
        assert f"`{name}`" in page, f"{lab.page} does not ask for {name}"
    assert lab.templates
    for path in lab.templates:
        assert "TODO" in path.read_text(encoding="utf-8") or path.suffix == ".json"
        assert f"`{path.name}`" in page


def test_index_lists_every_lab() -> None:
    index = (ROOT / "docs" / "labs" / "README.md").read_text(encoding="utf-8")
    for lab in LABS:
        assert f"[{lab.title}]({Path(lab.page).name}) | {lab.minutes} min" in index


def test_labs_are_numbered_and_short() -> None:
    assert [lab.number for lab in LABS] == list(range(1, len(LABS) + 1))
    assert len(LABS) >= 8
    assert all(lab.minutes < 5 for lab in LABS)
    assert lab_named("your_name").uses_run
