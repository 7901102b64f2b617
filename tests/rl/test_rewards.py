"""Rewards of the user's own: what works, and every way in which one fails."""

import re
from pathlib import Path

import pytest

from firstwords.common.errors import UserError
from firstwords.rl.questions import Question
from firstwords.rl.rewards import OwnReward

QUESTION = Question("own", [{"role": "user", "content": "Hi"}])


def test_a_reward_sees_the_conversation_and_the_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reward.py"
    (tmp_path / "helper.py").write_text("BONUS = 10\n")
    file.write_text(
        "from helper import BONUS\n"
        'QUESTIONS = ("One?", "Two?")\n'
        "def reward(conversation, answer):\n"
        "    print('seen')\n"
        "    return BONUS + len(answer) + (conversation[-1]['content'] == 'Hi')\n"
    )
    with OwnReward(file) as reward:
        assert reward.prompts == ["One?", "Two?"]
        assert reward.score(QUESTION, "four") == 15.0
    assert capfd.readouterr().out == ""  # stdout is for answers and documents


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("return 1 / 0", r"line 2: ZeroDivisionError: division by zero, on the answer 'Bye'"),
        ("return None", r"reward returned 'None', which is no finite number, on the answer"),
        ("return float('nan')", "reward returned 'nan', which is no finite number"),
        ("return '1'", "reward returned '1', which is no finite number"),
        ("while True: pass", "reward did not return within 0.5 seconds, on the answer 'Bye'"),
        ("import os; os._exit(3)", "the process of the reward ended, on the answer 'Bye'"),
        ("raise SystemExit", "line 2: SystemExit"),
    ],
)
def test_a_bad_reward_is_named_with_its_answer(code: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(f"def reward(conversation, answer):\n    {code}\n")
    with OwnReward(file, seconds=0.5) as reward, pytest.raises(UserError) as error:
        reward.score(QUESTION, "Bye")
    assert re.search(f"^--reward {re.escape(str(file))}.*{problem}", str(error.value))
    assert "run the same command again to resume" in error.value.hint


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def reward(", "line 1"),
        ("import no_such_module", "line 1: ModuleNotFoundError"),
        ("score = 1", "has no function reward"),
        ("def reward(c, a): return 1\nQUESTIONS = []", "QUESTIONS is not a list of texts"),
    ],
)
def test_a_bad_file_is_refused_before_any_answer(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(text)
    with pytest.raises(UserError, match=problem):
        OwnReward(file)
    with pytest.raises(UserError, match="does not exist"):
        OwnReward(tmp_path / "none.py")
