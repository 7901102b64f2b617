"""`firstwords lab`: what it lists, makes, says, and with which exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk, lab_named

from firstwords.labs import lab as labs
from firstwords.labs.catalog import LABS

Run = Callable[..., tuple[int, str, str]]
NewDesk = Callable[[str], Desk]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments take a fiftieth of their steps."""
    whole = labs.Setting
    monkeypatch.setattr(labs, "Setting", lambda run: whole(run=run, effort=0.02))


def test_list_shows_all_labs_and_what_is_passed(lab_command: Run, home: Path) -> None:
    code, out, _ = lab_command()
    assert code == 0
    assert lab_command("list") == (0, out, "")
    lines = out.splitlines()[: len(LABS)]
    assert all(lab.title in line for lab, line in zip(LABS, lines, strict=True))
    assert all(line.endswith("open") for line in lines)


def test_start_makes_the_files_and_leaves_what_is_there(lab_command: Run, tmp_path: Path) -> None:
    code, out, _ = lab_command("start", "4")
    folder = tmp_path / "lab-4"
    assert code == 0
    assert {path.name for path in folder.iterdir()} == {"schedule.py", "prediction.toml"}
    assert "made: lab-4/schedule.py" in out
    assert "docs/labs/04-learning-rate.md" in out
    (folder / "schedule.py").write_text("mine = 1\n")
    (folder / "prediction.toml").unlink()
    code, out, _ = lab_command("start", "4")
    assert code == 0
    assert "left as it was: lab-4/schedule.py" in out
    assert "made: lab-4/prediction.toml" in out
    assert (folder / "schedule.py").read_text() == "mine = 1\n"


def test_start_draws_another_model_each_time(lab_command: Run, tmp_path: Path) -> None:
    drawn = set()
    for place in ("a", "b", "c", "d"):
        assert lab_command("start", "6", "--dir", place)[0] == 0
        drawn.add((tmp_path / place / "config.json").read_text())
    assert len(drawn) > 1


def test_check_says_what_is_missing_and_leaves_with_1(lab_command: Run) -> None:
    lab_command("start", "4")
    code, out, _ = lab_command("check", "4")
    assert code == 1
    assert "not yet  nothing is written for best, ten, diverges" in out
    assert "still to be written: lab-4/schedule.py, line " in out
    assert "hint: 10 steps, warmup 2" in out
    assert "experiment" not in out
    assert "not yet passed" in out
    assert "open" in lab_command()[1].splitlines()[3]


def test_check_passes_compares_and_is_remembered(
    lab_command: Run, desk: NewDesk, hurried: None, home: Path
) -> None:
    at = desk("learning_rate").predict().solve()
    code, out, _ = lab_command("check", "4")
    assert code == 0
    assert "you said: about seven" in out
    assert "it was:" in out
    assert "\npassed" in out
    assert json.loads((home / "labs.json").read_text())["labs"]["4"]["passed"]
    assert "passed 20" in lab_command()[1].splitlines()[3]
    assert not (at.path / "__pycache__").exists()


def test_an_experiment_that_fails_leaves_with_1(
    lab_command: Run, desk: NewDesk, hurried: None
) -> None:
    desk("your_name").predict().solve()
    code, out, _ = lab_command("check", "8")
    assert code == 1
    assert "it does not know the name yet" in out
    assert "open" in lab_command()[1].splitlines()[7]


def test_an_error_of_the_learner_is_told_with_its_line(lab_command: Run, desk: NewDesk) -> None:
    desk("learning_rate").write("schedule.py", "def learning_rate(*arguments):\n    return 1 / 0\n")
    code, out, _ = lab_command("check", "4")
    assert code == 1
    assert "ZeroDivisionError: division by zero" in out
    assert "it came up in lab-4/schedule.py, line 2" in out


def test_an_error_in_the_experiment_is_told_too(
    lab_command: Run, desk: NewDesk, hurried: None
) -> None:
    at = desk("learning_rate").predict().solve()
    only_there = "    if warmup == 10 and steps == 2: oops\n"  # a warmup longer than the training
    at.change("schedule.py", "    decay = ", only_there + "    decay = ")
    code, out, _ = lab_command("check", "4")
    assert code == 1
    assert "NameError: name 'oops' is not defined" in out


def test_hints_come_one_by_one(lab_command: Run) -> None:
    hints = LABS[3].hints
    for count in (1, 2, 3, 3):
        code, out, _ = lab_command("hint", "4")
        assert code == 0
        assert f"{count} of {len(hints)}: " in out
        assert f"{count + 1} of" not in out
    assert "those are all" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "1"], "there is no folder lab-1"),
        (["check", "1", "--dir", "elsewhere"], "no folder elsewhere"),
        (["check", "11"], "there is no lab 11"),
        (["start", "11"], "there is no lab 11"),
        (["hint", "0"], "0 is not in the range"),
        (["check", "one"], "'one' is not a valid integer"),
        (["check", "4", "--run", "x"], "lab 4 trains models of its own"),
        (["wat"], "wat"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_is_named(arguments: list[str], said: str, lab_command: Run) -> None:
    code, out, err = lab_command(*arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_an_unknown_run_is_named(lab_command: Run, desk: NewDesk) -> None:
    desk("your_name").predict().solve()
    code, _, err = lab_command("check", "8", "--run", "absent")
    assert code == 2
    assert "--run absent: no such run" in err


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("schedule.py", None, "schedule.py is missing"),
        ("schedule.py", "def learning_rate(:\n", "schedule.py, line 1: "),
        ("schedule.py", "import nothing_of_that_name\n", "schedule.py, line 1: ModuleNotFound"),
        ("schedule.py", "raise SystemExit(0)\n", "schedule.py, line 1: SystemExit"),
        ("schedule.py", "other = 1\n", "it has no function learning_rate"),
        ("prediction.toml", None, "prediction.toml is missing"),
        ("prediction.toml", "best = \n", "prediction.toml is not valid"),
    ],
)
def test_a_malformed_folder_leaves_with_2(
    file: str, text: str | None, said: str, lab_command: Run, desk: NewDesk
) -> None:
    at = desk("learning_rate").predict().solve()
    if text is None:
        (at.path / file).unlink()
    else:
        at.write(file, text)
    code, _, err = lab_command("check", "4")
    assert code == 2
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("lesson.jsonl", "{\n", "lesson.jsonl, line 1: not JSON"),
        ("lesson.jsonl", '{"messages": []}\n', "lesson.jsonl, conversation 1"),
        ("lesson.jsonl", b"\xff", "not UTF-8"),
        ("lesson.toml", 'name = "Ada"\n', "lesson.toml, capital"),
        ("lesson.toml", 'name = "a"\ncapital = "b"\nsteps = 9999\n', "lesson.toml, steps"),
    ],
)
def test_a_malformed_lesson_leaves_with_2(
    file: str, text: str | bytes, said: str, lab_command: Run, desk: NewDesk
) -> None:
    at = desk("your_name").predict().solve()
    (at.path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, err = lab_command("check", "8")
    assert code == 2
    assert said in err


def test_a_file_in_the_way_is_named(lab_command: Run, tmp_path: Path, home: Path) -> None:
    (tmp_path / "taken").write_text("")
    code, _, err = lab_command("start", "1", "--dir", "taken")
    assert code == 2
    assert "--dir taken: it is a file" in err
    code, _, err = lab_command("start", "1", "--dir", "taken/inside")
    assert code == 2
    assert "taken/inside" in err


def test_a_damaged_labs_file_is_named(lab_command: Run, home: Path) -> None:
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
def test_every_lab_has_its_page_and_templates(lab: labs.Lab) -> None:
    page = (ROOT / lab.page).read_text(encoding="utf-8")
    assert f"# Lab {lab.number}: {lab.title}" in page
    assert f"firstwords lab start {lab.number}" in page
    assert f"firstwords lab check {lab.number}" in page
    for part in ("## The question", "## Read first", "## Predict", "## Do", "## Look at"):
        assert part in page
    assert page.count("<details>") == page.count("</details>") >= 1
    for name in lab.predict:
        assert f"`{name}`" in page, f"{lab.page} does not ask for {name}"
    assert lab.templates
    for path in lab.templates:
        assert "TODO" in path.read_text(encoding="utf-8") or path.suffix == ".json"
        assert f"`{path.name}`" in page


def test_the_index_lists_every_lab() -> None:
    index = (ROOT / "docs" / "labs" / "README.md").read_text(encoding="utf-8")
    for lab in LABS:
        assert f"[{lab.title}]({Path(lab.page).name}) | {lab.minutes} min" in index


def test_numbers_names_and_minutes() -> None:
    assert [lab.number for lab in LABS] == list(range(1, len(LABS) + 1))
    assert len(LABS) >= 8
    assert all(lab.minutes < 5 for lab in LABS)
    assert lab_named("your_name").takes_run
