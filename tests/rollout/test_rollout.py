"""`firstwords rollout`: one update, explained; its figures, output and errors."""

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import save_step, tiny_run

from firstwords.inference.batch import GeneratedAnswer
from firstwords.inference.engine import Sequence
from firstwords.inference.sampling import GREEDY
from firstwords.inspect.rollout.explain import (
    Explanation,
    RolloutRequest,
    explain_rollout,
    movement,
    pushed,
    token_changes,
)
from firstwords.recipe import ModelConfig
from firstwords.rl.advantage import advantages
from firstwords.rl.rollouts import Rollouts
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

REWARD = """QUESTIONS = ["Hello!", "The fox jumped."]
def reward(conversation, answer):
    return 100 * answer.count("e") / (1 + len(answer))
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> Run:
    """An untrained run that counts as finetuned: its answers are noise, which a letter grades."""
    run = tiny_run("toy", tiny_model, tiny_tokenizer)
    save_step(run, "sft", 20, tiny_tokenizer)
    return run


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    path = tmp_path / "letter.py"
    path.write_text(REWARD)
    return path


@pytest.fixture
def rollout(call_command: Call) -> Call:
    return functools.partial(call_command, "rollout")


def explain(reward: Path, question: int | None = None) -> Explanation:
    return explain_rollout(RolloutRequest(reward=reward, question=question))


def test_update_moves_answers_as_their_advantages_say(run: Run, reward: Path) -> None:
    found = explain(reward)
    assert len(found.answers) == 16
    rewards = np.array([one.reward for one in found.answers])
    found_advantages = np.array([one.advantage for one in found.answers])
    np.testing.assert_allclose(found_advantages, rewards - rewards.mean())
    assert found.mean_reward == pytest.approx(rewards.mean())
    assert movement(found) > 0
    moved, n = pushed(found)
    assert moved > n / 2
    best = max(found.answers, key=lambda one: one.advantage)
    assert best.after > best.before
    assert best.reward == 100 * best.text.count("e") / (1 + len(best.text))


def answer(*ids: int) -> GeneratedAnswer:
    """An answer of these tokens to the prompt 1 2 3."""
    sequence = Sequence([1, 2, 3], GREEDY)
    sequence.ids += ids
    sequence.generated, sequence.positions = list(ids), list(range(3, 3 + len(ids)))
    return GeneratedAnswer("", "", False, False, sequence)


def test_tokens_of_equal_beginnings_are_pushed_together(tiny_tokenizer: Tokenizer) -> None:
    answers = [answer(40, 50), answer(40, 60), answer(50, 40)]
    rewards_QG = np.array([[3.0, 0.0, 0.0]])
    group = Rollouts([], [answers], rewards_QG, advantages(rewards_QG))
    before = np.log([0.5, 0.25])
    nats = [(before, np.log([0.75, 0.5])), (before, np.log([0.75, 0.125])), (before, before)]
    found = {
        (one.answers, one.token): (one.advantage, round(one.before, 6), round(one.after, 6))
        for one in token_changes(tiny_tokenizer, group, nats)
    }
    assert found == {
        ((0, 1), 40): (1.0, 0.5, 0.75),
        ((0,), 50): (2.0, 0.25, 0.5),
        ((1,), 60): (-1.0, 0.25, 0.125),
        ((2,), 50): (-1.0, 0.5, 0.5),
        ((2,), 40): (-1.0, 0.25, 0.25),
    }


def test_tokens_multiply_to_the_probability_of_their_answer(run: Run, reward: Path) -> None:
    found = explain(reward)
    distance = [abs(one.after - one.before) for one in found.tokens]
    assert distance == sorted(distance, reverse=True)
    first = [one for one in found.tokens if one.context == ""]
    assert sum(len(one.answers) for one in first) == 16
    for one in found.tokens:
        pushes = [found.answers[number].advantage for number in one.answers]
        assert one.advantage == pytest.approx(sum(pushes), abs=1e-9)
        assert 0 < one.before < 1
    for number, answer in enumerate(found.answers):
        own = [one for one in found.tokens if number in one.answers]
        assert len(own) == answer.tokens
        assert sum(math.log(one.before) for one in own) == pytest.approx(answer.before, rel=1e-4)
        assert sum(math.log(one.after) for one in own) == pytest.approx(answer.after, rel=1e-4)


def test_run_is_not_changed_and_the_result_is_the_same_again(run: Run, reward: Path) -> None:
    def content() -> dict[str, bytes]:
        paths = (path for path in run.directory.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in paths}

    before = content()
    first = explain(reward)
    assert content() == before
    torch.manual_seed(5)
    assert explain(reward) == first
    assert explain(reward, question=3).answers != first.answers


def test_reinforced_model_answers_with_its_own_recipe(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, reward: Path, rollout: Call
) -> None:
    config = {"steps": 9, "batch_size": 16, "group_size": 12, "max_answer_tokens": 30}
    config |= {"seq_len": 64, "sft_rows": 4, "lr_scale": 0.125, "reward": str(reward)}
    run = tiny_run("toy", tiny_model, tiny_tokenizer, rl=config)
    for stage, step in (("sft", 20), ("rl", 9)):
        save_step(run, stage, step, tiny_tokenizer, seed=step)
    code, out, err = rollout("--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["stage"], document["step"], document["rule"]) == ("rl", 9, "letter.py")
    assert len(document["answers"]) == 12
    assert all(one["tokens"] <= 30 for one in document["answers"])
    assert document["learning_rate"] == 0.125
    assert json.loads(rollout("--json", "--stage", "sft")[1])["step"] == 20


def test_answers_of_equal_reward_move_nothing(run: Run, rollout: Call) -> None:
    """The noise of an untrained model is never right."""
    code, out, err = rollout("--question", "4", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["question"] == 4
    assert document["equal_groups"] == 0
    assert document["learning_rate"] == 0
    assert {one["advantage"] for one in document["answers"]} == {0}
    assert all(one["before"] == one["after"] for one in document["tokens"])
    code, out, _ = rollout("--question", "4", "--kind", "stories")
    assert code == 0
    assert "all answers have the same reward, so an update moves nothing" in " ".join(out.split())
    assert "Tokens whose probability moved most" not in out


def test_printed_update_names_question_answers_and_tokens(
    run: Run, reward: Path, rollout: Call
) -> None:
    code, out, err = rollout("--reward", str(reward))
    assert (code, err) == (0, "")
    assert out.startswith("toy, sft, step 20")
    assert "Graded by letter.py" in out
    found = explain(reward)
    assert f"user: {found.messages[-1]['content']}" in out
    assert f"{found.answers[0].advantage:+.3f}" in out
    assert f"{found.tokens[0].before:.1%}" in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "none"], "none"),
        (["--kind", "poems"], "--kind poems is no part of the exam; choose from"),
        (["--stage", "rl"], "run toy has no checkpoint of rl"),
        (["--stage", "pretrain"], "--stage"),
        (["--question", "-1"], "--question"),
        (["--reward", "none.py"], "--reward"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, run: Run, rollout: Call) -> None:
    code, out, err = rollout(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_kind_needs_the_rules_of_the_exam(run: Run, reward: Path, rollout: Call) -> None:
    code, _, err = rollout("--reward", str(reward), "--kind", "stories")
    assert code == 2
    assert "--kind chooses questions for the exam's rules" in err


def test_run_without_a_finetuned_model_names_the_command(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, rollout: Call
) -> None:
    tiny_run("early", tiny_model, tiny_tokenizer)
    code, _, err = rollout()
    assert code == 2
    assert "run early has not finished sft; first run: firstwords sft --run early" in err
