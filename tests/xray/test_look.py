"""The document: figures that agree with the model, the engine and each other."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from firstwords.errors import UserError
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY, Sampling, choose
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import IM_END, Tokenizer
from firstwords.xray.look import Ask, Subject, document
from firstwords.xray.next import next_tokens

MakeModel = Callable[..., Transformer]
TEXT = "The old fox jumped over the old fox"
GIVEN_AND_ALL = ("frame", "text"), ("frame", "text", "model", "tool")


@pytest.fixture
def model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    return random_model(tiny_model)


@pytest.fixture
def look(model: Transformer, tiny_tokenizer: Tokenizer) -> Callable[..., Any]:
    """The document of one stage, after a round trip through JSON."""

    def at(
        text: str = TEXT,
        chat: bool = False,
        generate: int = 0,
        sampling: Sampling = GREEDY,
        of: Transformer = model,
    ) -> Any:
        subject = Subject("base", 3, 20, of, tiny_tokenizer)
        seen = document("toy", [subject], Ask(text, chat, generate, sampling))
        return json.loads(json.dumps(seen, allow_nan=False))

    return at


def ids_of(stage: Any) -> list[int]:
    return [token["id"] for token in stage["tokens"]]


def test_it_says_what_was_looked_at(look: Callable[..., Any], model: Transformer) -> None:
    seen = look()
    (stage,) = seen["stages"]
    assert (seen["run"], seen["text"], seen["chat"]) == ("toy", TEXT, False)
    assert (stage["stage"], stage["step"], stage["steps"]) == ("base", 3, 20)
    assert stage["model"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert len(seen["vocabulary"]) == model.config.vocab_size
    assert "".join(seen["vocabulary"][i] for i in ids_of(stage)[1:]).replace("␣", " ") == TEXT
    assert {"tokens", "loss", "similar", "attention", "lens", "next", "cache"} == set(seen["views"])


def test_losses_are_those_of_training(look: Callable[..., Any], model: Transformer) -> None:
    (stage,) = look()["stages"]
    ids, loss = ids_of(stage), stage["loss"]
    with torch.inference_mode():
        nats = model.loss(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]), "none").tolist()
    assert loss["nats"][1:] == pytest.approx(nats, abs=1e-3)
    assert loss["nats"][0] is None
    assert loss["mean"] == pytest.approx(np.mean(nats), abs=1e-3)
    assert loss["bits_per_byte"] == pytest.approx(sum(nats) / np.log(2) / len(TEXT), abs=1e-3)
    for place, rank in enumerate(loss["rank"][1:]):
        logits = stage["logits"][str(place)]
        assert rank == 1 + sum(other > logits[ids[place + 1]] for other in logits)


def test_what_is_not_of_the_text_is_left_out_of_its_loss(look: Callable[..., Any]) -> None:
    (stage,) = look(chat=True, generate=4)["stages"]
    own = [
        nats
        for nats, token in zip(stage["loss"]["nats"], stage["tokens"], strict=True)
        if token["by"] == "text"
    ]
    assert stage["loss"]["tokens"] == len(own) < len(stage["tokens"]) - 4
    assert stage["loss"]["bytes"] == len(TEXT)
    assert stage["loss"]["mean"] == pytest.approx(np.mean(own), abs=1e-3)


def test_the_last_level_of_the_lens_is_the_model(look: Callable[..., Any]) -> None:
    (stage,) = look()["stages"]
    names = [level["after"] for level in stage["lens"]]
    assert names == ["embedding", "layer 1", "layer 2"]
    last, nats = stage["lens"][-1], stage["loss"]["nats"]
    assert last["next"][:-1] == pytest.approx(np.exp(-np.array(nats[1:])), abs=2e-4)
    assert last["next"][-1] is None
    for place, top in enumerate(last["top"]):
        logits = stage["logits"][str(place)]
        assert top[0][0] == int(np.argmax(logits))
        assert [share for _, share in top] == sorted((share for _, share in top), reverse=True)


def test_attention_is_told_up_to_each_token(look: Callable[..., Any], model: Transformer) -> None:
    (stage,) = look()["stages"]
    length = len(stage["tokens"])
    assert len(stage["attention"]) == len(stage["heads"]) == model.config.n_layer
    for layer in stage["attention"]:
        assert len(layer) == model.config.n_head
        for head in layer:
            assert [len(row) for row in head] == list(range(1, length + 1))
            assert [sum(row) for row in head] == pytest.approx([1.0] * length, abs=1e-2)


def test_the_planted_heads_are_recognized_by_where_they_look(
    look: Callable[..., Any], tiny_model: ModelConfig
) -> None:
    changes = {"n_embd": 64, "n_head": 2, "n_kv_head": 2, "head_dim": 32, "rope_theta": 10_000.0}
    planted = Transformer(tiny_model.model_copy(update=changes)).init_weights(0).eval()
    (stage,) = look("quick fox, old hen: a quick fox, old hen", of=planted)["stages"]
    heads = [habits for layer in stage["heads"] for habits in layer]
    back, *others = heads
    assert back["before"] > 0.5 > max(head["before"] for head in others)
    induction = stage["heads"][1][0]
    assert induction["repeat"] > 2 * max(head["repeat"] for head in heads if head != induction)
    (short,) = look("Rain", of=planted)["stages"]
    assert short["heads"][0][0]["repeat"] is None


def test_similar_tokens_are_those_whose_embeddings_point_alike(
    look: Callable[..., Any], model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    token, twin = tiny_tokenizer.encode(" fox")[0], 300
    with torch.no_grad():
        mean_C = model.embed_tokens.weight.mean(0)
        model.embed_tokens.weight[twin] = 3 * (model.embed_tokens.weight[token] - mean_C) + mean_C
    (stage,) = look()["stages"]
    best = stage["similar"][str(token)]
    assert best[0][0] == twin
    assert best[0][1] > 0.95 > best[1][1]
    assert token not in [other for other, _ in best]


def test_it_goes_on_as_the_engine_does_and_measures_its_cache(
    look: Callable[..., Any], model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    sampling = Sampling(temperature=1.5, top_k=0, top_p=1, seed=5)
    (stage,) = look(generate=9, sampling=sampling)["stages"]
    written = [token["id"] for token in stage["tokens"] if token["by"] == "model"]
    prompt = ids_of(stage)[: -len(written)]
    engine = Engine(Decoder(model, 1))
    expected = list(engine.generate(prompt, sampling.model_copy(update={"max_tokens": 9})))
    assert written == expected[: len(written)]
    steps = stage["cache"]["steps"]
    assert len(steps) == len(written)
    config = model.config
    per_token = 2 * 4 * config.n_layer * config.n_kv_head * config.head_dim
    assert [step["tokens"] for step in steps] == [len(prompt) + n for n in range(len(steps))]
    assert [step["bytes"] for step in steps] == [per_token * step["tokens"] for step in steps]
    assert stage["cache"]["reserved"] == per_token * config.max_seq_len
    assert [step["read"] for step in steps] == [len(prompt)] + [1] * (len(steps) - 1)


def test_it_ends_where_the_context_or_the_turn_does(
    look: Callable[..., Any], model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    (stage,) = look(generate=500)["stages"]
    assert len(stage["tokens"]) <= model.config.max_seq_len
    full = " fox" * (model.config.max_seq_len - 1)
    assert look(full, generate=5)["stages"][0]["cache"]["steps"] == []
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.weight[tiny_tokenizer.special(IM_END)] = model.norm.weight
    (stage,) = look(chat=True, generate=30)["stages"]
    ended = [token["by"] for token in stage["tokens"]].count("model")
    assert ended < 30


def test_where_a_text_has_too_many_logits_the_end_is_told(
    look: Callable[..., Any], model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.xray.measures.MOST_LOGITS", 3 * model.config.vocab_size)
    (stage,) = look(generate=6)["stages"]
    given, length = (len([t for t in stage["tokens"] if t["by"] in by]) for by in GIVEN_AND_ALL)
    assert list(stage["logits"]) == [str(n) for n in (given - 1, *range(length - 3, length))]


def test_numbers_that_are_none_are_refused(look: Callable[..., Any], model: Transformer) -> None:
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        look()


# --- the next token -------------------------------------------------------------------------------


def test_shares_after_the_settings_are_how_often_a_token_is_drawn() -> None:
    logits = np.random.default_rng(0).normal(0, 2, 40)
    sampling = Sampling(temperature=0.8, top_k=10, top_p=0.9)
    found = next_tokens(logits.tolist(), sampling, most=40)
    drawn = np.bincount([choose(logits, sampling, set(), n) for n in range(4000)], minlength=40)
    for one in found.likeliest:
        assert drawn[one.token] / 4000 == pytest.approx(one.drawn or 0.0, abs=0.04)
        assert (drawn[one.token] == 0) == (one.drawn is None)
    assert found.kept == np.count_nonzero(drawn) < 10
    assert sum(one.share for one in found.likeliest) == pytest.approx(1.0)


def test_temperature_nought_leaves_one() -> None:
    found = next_tokens([0.0, 3.0, 1.0], Sampling(temperature=0))
    assert found.likeliest[0][:1] + found.likeliest[0][3:] == (1, 1.0)
    assert found.kept == 1
