"""Reinforcement learning: advantages, batches of the model's own answers, and the stage."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_recipe, save_step, tiny_run
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from firstwords.common.errors import UserError
from firstwords.data.dataloader import IGNORE_INDEX, BatchSampler, PaddingRows
from firstwords.data.starter import exam
from firstwords.data.starter.holdout import question_key
from firstwords.inference.batch import GeneratedAnswer
from firstwords.inference.engine import Sequence
from firstwords.inference.sampling import GREEDY
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, Recipe, RLConfig, with_overrides
from firstwords.rl import rollouts
from firstwords.rl.advantage import TOKENS_PER_ANSWER, advantages, penalize_cut
from firstwords.rl.questions import Question, graded_questions, prompt_questions
from firstwords.rl.rollouts import RolloutBatches, Rollouts, answer_rows
from firstwords.rl.stage import check_processes, check_reward, reinforce
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import TOOL_RESPONSE, Tokenizer
from firstwords.training import checkpoint
from firstwords.training.distributed import World
from firstwords.training.loop import train
from firstwords.training.session import Session
from firstwords.training.setup import build

RL = RLConfig(
    steps=6, batch_size=18, micro_batch_size=4, seq_len=64, group_size=4, sft_rows=2,
    max_answer_tokens=8, lr_scale=0.1, warmup_steps=0,
)  # fmt: skip
rewards = arrays(float, array_shapes(min_dims=2, max_dims=2, min_side=2), elements=st.floats(-9, 9))


# --- advantages -----------------------------------------------------------------------------------


@given(rewards, st.floats(-5, 5), st.sampled_from([0.5, 2.0, 8.0]))
def test_advantages_compare_an_answer_with_its_group_alone(
    rewards_QG: np.ndarray, shift: float, scale: float
) -> None:
    found = advantages(rewards_QG)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(advantages(rewards_QG + shift), found, atol=1e-9)
    # Linear: no division by the standard deviation, which would make rare successes huge.
    np.testing.assert_allclose(advantages(rewards_QG * scale), found * scale, atol=1e-9)
    np.testing.assert_array_equal(found[:1], advantages(rewards_QG[:1]))


@given(st.floats(-1e6, 1e6), st.integers(2, 9))
def test_equal_rewards_say_nothing(reward: float, size: int) -> None:
    assert not advantages(np.full((3, size), reward)).any()


def test_a_cut_answer_is_worth_no_more_than_the_worst_of_its_group() -> None:
    rewards_QG, cut_QG = np.array([[1.0, 0.5, 2.0], [-3.0, -1.0, -2.0]]), np.zeros((2, 3), bool)
    np.testing.assert_array_equal(penalize_cut(rewards_QG, cut_QG), rewards_QG)
    cut_QG[:, 2] = True
    np.testing.assert_array_equal(
        penalize_cut(rewards_QG, cut_QG), [[1.0, 0.5, 0.0], [-3.0, -1.0, -3.0]]
    )


def answer_with_tool(tokenizer: Tokenizer) -> GeneratedAnswer:
    """Prompt 1 2 3; sampled 4 5; a tool's response, which is forced; sampled 6."""
    sequence = Sequence([1, 2, 3], GREEDY)
    sequence.ids += [4, 5, tokenizer.special(TOOL_RESPONSE), 99, 6]
    sequence.generated, sequence.positions = [4, 5, 6], [3, 4, 7]
    return GeneratedAnswer("", "", False, False, sequence)


def test_only_sampled_tokens_are_targets_and_carry_the_advantage(
    tiny_tokenizer: Tokenizer,
) -> None:
    answers = [[answer_with_tool(tiny_tokenizer)] * 2, [answer_with_tool(tiny_tokenizer)] * 2]
    rewards_QG = np.array([[1.0, 0.0], [1.0, 1.0]])
    found = Rollouts([], answers, rewards_QG, advantages(rewards_QG))
    x_BT, y_BT, start_BT, w_BT = answer_rows(found, 16, pad_id=0)
    assert x_BT.shape == (2, 16)  # the second group is not mixed, and has no rows
    assert not start_BT.any()
    assert w_BT is not None
    for row, weight in ((0, 0.5), (1, -0.5)):
        assert y_BT[row].tolist() == [-100, -100, 4, 5, -100, -100, 6, *[IGNORE_INDEX] * 9]
        assert x_BT[row, 6] == 99
        rms = 8**-0.5  # of 0.5, -0.5, 0 and 0
        expected = weight / rms / (4 * TOKENS_PER_ANSWER)
        np.testing.assert_allclose(w_BT[row, [2, 3, 6]], expected, rtol=1e-6)
        assert w_BT[row].count_nonzero() == 3


# --- questions ------------------------------------------------------------------------------------


def test_questions_are_never_those_of_the_exam() -> None:
    kinds = ("stories", "instructions", "calculator", "choice")
    asked = {
        question_key(message["content"])
        for kind in kinds
        for item in exam.items_of(kind, 40)
        for message in item.messages
    }
    draw = graded_questions(0, kinds)
    questions = [draw(index) for index in range(200)]
    assert {question.kind for question in questions} == set(kinds)
    assert all(question.expected for question in questions)
    assert asked.isdisjoint(question_key(q.messages[-1]["content"]) for q in questions)
    assert questions[7] == graded_questions(0, kinds)(7) != graded_questions(1, kinds)(7)


# --- batches --------------------------------------------------------------------------------------


class ShareOfLetter:
    """A reward with a slope: the share of an answer that is one of some letters."""

    def score(self, question: Question, answer: str) -> float:
        return sum(map(answer.count, "aeiou")) / max(1, len(answer))


@pytest.fixture
def batches(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> RolloutBatches:
    model, reference = (Transformer(tiny_model).init_weights(0) for _ in range(2))
    draw = prompt_questions(0, ["Hello!", "The fox jumped."])
    sft = BatchSampler(PaddingRows(64), RL.sft_rows, 0)
    return RolloutBatches(model, reference, tiny_tokenizer, RL, 0, draw, ShareOfLetter(), sft)


def recipe_of(config: ModelConfig, **changes: object) -> Recipe:
    return make_recipe(model=config.model_dump(), rl=RL.replace(**changes).model_dump())


def test_a_reward_rises(tiny_model: ModelConfig, batches: RolloutBatches) -> None:
    stage = RL.replace(steps=25, lr_scale=0.2)
    state = build(recipe_of(tiny_model), batches.model, stage=stage)
    found = []
    for _ in train(state, batches, stage):
        found.append(batches.metrics["reward"])
    assert np.mean(found[-5:]) > 1.5 * np.mean(found[:5]) > 0
    assert batches.metrics["divergence"] > 0


def test_the_gradient_is_that_of_the_written_formula(
    tiny_model: ModelConfig, batches: RolloutBatches
) -> None:
    # Most answers of an untrained model are cut, and all of a group often are.
    step = next(s for s in range(99) if batches.rollouts(s).advantages_QG.any())
    found = batches.rollouts(step)
    model, terms = batches.model, []
    for group, advantages_G in zip(found.answers, found.advantages_QG, strict=True):
        for answer, advantage in zip(group, advantages_G, strict=True):
            ids = torch.tensor(answer.sequence.ids)
            logp_TV = model(ids[None, :-1])[0].log_softmax(-1)
            logp = sum(logp_TV[place - 1, ids[place]] for place in answer.sequence.positions)
            scale = np.sqrt((found.advantages_QG**2).mean()) * found.advantages_QG.size
            terms.append(-advantage * logp / (scale * TOKENS_PER_ANSWER))
    torch.stack(terms).sum().backward()
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    state = build(recipe_of(tiny_model), model, stage=RL)
    state.loss(*batches.batch(step)).backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-3)


def test_a_step_without_signal_only_continues_finetuning(batches: RolloutBatches) -> None:
    batches.reward = type("Same", (), {"score": lambda *_: 1.0})()
    batch = batches.batch(0)
    assert len(batch.x_BT) == RL.sft_rows
    assert batch.w_BT is not None
    assert not batch.w_BT.any()
    assert batches.metrics["mixed_groups"] == 0.0


def test_a_batch_is_a_function_of_seed_step_and_weights(batches: RolloutBatches) -> None:
    first = batches.batch(3)
    batches.batch(1)
    for part, again in zip(first.parts(), batches.batch(3).parts(), strict=True):
        assert torch.equal(part, again)
    batches.seed = 1
    assert not torch.equal(batches.batch(3).x_BT, first.x_BT)


def test_a_question_without_room_for_an_answer_is_replaced(
    batches: RolloutBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(index: int) -> Question:
        text = "long words " * 60 if index < RL.questions else "short"
        return Question("own", [{"role": "user", "content": text}])

    batches.draw = draw
    assert all(q.messages[-1]["content"] == "short" for q in batches.rollouts(0).questions)
    monkeypatch.setattr(rollouts, "PROMPT_TRIES", 1)
    assert batches.batch(0).x_BT.shape[1] == RL.seq_len  # cut, where all are too long


# --- the stage ------------------------------------------------------------------------------------

REWARD = """QUESTIONS = ["Hello!", "The fox jumped."]
def reward(conversation, answer):
    return answer.count("a") / (1 + len(answer))
"""


@pytest.fixture
def make_run(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> Callable[[str], Run]:
    """A run that has a finetuned model and a reward of its own, FILE.py beside the home."""

    def make(name: str) -> Run:
        run = tiny_run(name, tiny_model, tiny_tokenizer)
        reward = tmp_path / f"{name}.py"
        reward.write_text(REWARD)
        recipe = recipe_of(tiny_model, reward=str(reward))
        run.manifest = run.manifest.replace(recipe=recipe)
        save_step(run, "sft", recipe.sft.steps, tiny_tokenizer)
        return run

    return make


def test_a_stage_resumes_to_the_same_bytes(
    make_run: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = make_run("whole"), make_run("cut")
    reinforce(Session(whole))
    score = rollouts.RolloutBatches.rollouts

    def killed_at_third_step(self: RolloutBatches, step: int) -> Rollouts:
        found = score(self, step)
        if step == 3:
            raise KeyboardInterrupt  # as a kill: nothing is saved on the way out
        return found

    with monkeypatch.context() as patch:
        patch.setattr(rollouts.RolloutBatches, "rollouts", killed_at_third_step)
        patch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            reinforce(Session(cut))
    newest = cut.newest("rl")
    assert newest is not None
    assert 0 < newest.step <= 3
    reinforce(Session(cut))
    for name in ("model.safetensors", "optimizer.safetensors"):
        ends = [run.checkpoints("rl") / "0000006" / name for run in (whole, cut)]
        assert ends[0].read_bytes() == ends[1].read_bytes()
    lines = [json.loads(line) for line in cut.metrics("rl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all({"reward", "divergence", "mixed_groups"} <= set(line) for line in lines)


def test_a_reward_that_fails_loses_no_step(make_run: Callable[[str], Run], tmp_path: Path) -> None:
    run = make_run("fails")
    file = tmp_path / "fails.py"
    # 16 answers a step: the third step fails.
    counting = "    COUNT.append(1)\n    return 1 / (len(COUNT) < 40) *"
    file.write_text(REWARD.replace("    return", counting) + "COUNT = []\n")
    with pytest.raises(UserError) as error:
        reinforce(Session(run))
    assert f"--reward {file}, line 4: ZeroDivisionError" in str(error.value)
    assert "on the answer" in str(error.value)
    newest = run.newest("rl")
    assert newest is not None
    assert newest.step == 2
    file.write_text(REWARD)
    reinforce(Session(run))
    assert run.finished("rl")


def test_a_run_without_a_finetuned_model_is_refused(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    run = tiny_run("early", tiny_model, tiny_tokenizer)
    with pytest.raises(UserError, match="run early has no stage rl"):
        reinforce(Session(run))
    run.manifest = run.manifest.replace(recipe=recipe_of(tiny_model))
    with pytest.raises(UserError, match="run early has not finished sft"):
        reinforce(Session(run))


def test_more_processes_than_questions_are_refused() -> None:
    check_processes(RL, World(0, 2))
    with pytest.raises(UserError, match="are too few for 3 processes"):
        check_processes(RL, World(0, 3))
    shares = [World(rank, 3).local_range(RL.questions) for rank in range(3)]
    assert [number for share in shares for number in share] == [0, 1, 2, 3]
    assert all(shares)


def test_what_nothing_can_grade_is_refused_before_training(tmp_path: Path) -> None:
    chats = tmp_path / "chats.jsonl"
    chats.write_text('{"messages": []}\n')
    check_reward(RL, "starter")
    with pytest.raises(UserError, match="'poems', which is no part of the exam"):
        check_reward(RL.replace(kinds=("stories", "poems")), "starter")
    with pytest.raises(UserError, match="the conversations are others"):
        check_reward(RL, str(chats))
    with pytest.raises(UserError, match="does not exist"):
        check_reward(RL.replace(reward=str(tmp_path / "none.py")), "starter")


# --- the recipe -----------------------------------------------------------------------------------


def test_an_override_adds_the_stage() -> None:
    recipe = make_recipe()
    assert recipe.stages == ("pretrain", "midtrain", "sft")
    changed = with_overrides(recipe, ["rl.steps=5", "rl.seq_len=64", "rl.kinds=stories,choice"])
    assert changed.stages == ("pretrain", "midtrain", "sft", "rl")
    assert changed.rl is not None
    assert changed.rl.kinds == ("stories", "choice")
    assert changed.replace(rl=None) == recipe


@pytest.mark.parametrize("change", ["rl.group_size=7", "rl.sft_rows=136"])
def test_a_recipe_that_cannot_work_is_refused(change: str) -> None:
    with pytest.raises(UserError, match="--set: rl is not valid"):
        with_overrides(make_recipe(), ["rl.steps=5", "rl.seq_len=64", change])
