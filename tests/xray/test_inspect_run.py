"""The document of an X-ray agrees with the model and the engine."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from firstwords.common.errors import UserError
from firstwords.inference.chat import fit_prompt
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY, Sampling, sample_token
from firstwords.inspect.xray.inspect_run import InspectedModel, InspectRequest, inspect_text
from firstwords.inspect.xray.next_token import next_token_distribution
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import IM_END, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

MakeModel = Callable[..., Transformer]
TEXT = "The old fox jumped over the old fox"
OF_PROMPT, ALL_WRITERS = ("frame", "text"), ("frame", "text", "model", "tool")


@pytest.fixture
def model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    return random_model(tiny_model)


@pytest.fixture
def inspect(model: Transformer, tiny_tokenizer: Tokenizer) -> Callable[..., Any]:
    """Return a document with one stage, after a round trip through JSON."""

    def call(
        text: str = TEXT,
        chat: bool = False,
        generate: int = 0,
        sampling: Sampling = GREEDY,
        of: Transformer = model,
    ) -> Any:
        inspected = InspectedModel("pretrain", 3, 20, of, tiny_tokenizer)
        request = InspectRequest(text, chat, generate, sampling)
        document = inspect_text("toy", [inspected], request)
        return json.loads(json.dumps(document, allow_nan=False))

    return call


def ids_of(stage: Any) -> list[int]:
    return [token["id"] for token in stage["tokens"]]


def test_document_names_run_stage_and_text(inspect: Callable[..., Any], model: Transformer) -> None:
    document = inspect()
    (stage,) = document["stages"]
    assert (document["run"], document["text"], document["chat"]) == ("toy", TEXT, False)
    assert (stage["stage"], stage["step"], stage["steps"]) == ("pretrain", 3, 20)
    assert stage["model"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert len(document["vocabulary"]) == model.config.vocab_size
    assert "".join(document["vocabulary"][i] for i in ids_of(stage)[1:]).replace("␣", " ") == TEXT
    assert list(document["views"]) == [
        *("text", "next", "model", "attention", "lens", "loss", "cache", "tokens", "similar")
    ]


def test_losses_match_those_of_training(inspect: Callable[..., Any], model: Transformer) -> None:
    (stage,) = inspect()["stages"]
    ids, loss = ids_of(stage), stage["loss"]
    with torch.inference_mode():
        nats = model.loss(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]), "none").tolist()
    assert loss["nats"][1:] == pytest.approx(nats, abs=1e-3)
    assert loss["nats"][0] is None
    assert loss["mean"] == pytest.approx(np.mean(nats), abs=1e-3)
    assert loss["bits_per_byte"] == pytest.approx(sum(nats) / np.log(2) / len(TEXT), abs=1e-3)
    for position, rank in enumerate(loss["rank"][1:]):
        logits = stage["logits"][str(position)]
        assert rank == 1 + sum(other > logits[ids[position + 1]] for other in logits)


def test_loss_of_the_text_excludes_markup_and_generated_tokens(inspect: Callable[..., Any]) -> None:
    (stage,) = inspect(chat=True, generate=4)["stages"]
    of_text = [
        nats
        for nats, token in zip(stage["loss"]["nats"], stage["tokens"], strict=True)
        if token["by"] == "text"
    ]
    assert stage["loss"]["tokens"] == len(of_text) < len(stage["tokens"]) - 4
    assert stage["loss"]["bytes"] == len(TEXT)
    assert stage["loss"]["mean"] == pytest.approx(np.mean(of_text), abs=1e-3)


def test_last_level_of_the_lens_is_the_output_of_the_model(inspect: Callable[..., Any]) -> None:
    (stage,) = inspect()["stages"]
    names = [level["after"] for level in stage["lens"]]
    assert names == ["embedding", "layer 1", "layer 2"]
    last, nats = stage["lens"][-1], stage["loss"]["nats"]
    assert last["next"][:-1] == pytest.approx(np.exp(-np.array(nats[1:])), abs=2e-4)
    assert last["next"][-1] is None
    for position, top in enumerate(last["top"]):
        logits = stage["logits"][str(position)]
        assert top[0][0] == int(np.argmax(logits))
        assert [share for _, share in top] == sorted((share for _, share in top), reverse=True)


def test_attention_rows_end_at_the_token_and_sum_to_one(
    inspect: Callable[..., Any], model: Transformer
) -> None:
    (stage,) = inspect()["stages"]
    length = len(stage["tokens"])
    assert len(stage["attention"]) == len(stage["heads"]) == model.config.n_layer
    for layer in stage["attention"]:
        assert len(layer) == model.config.n_head
        for head in layer:
            assert [len(row) for row in head] == list(range(1, length + 1))
            assert [sum(row) for row in head] == pytest.approx([1.0] * length, abs=1e-2)


def test_residual_stream_is_the_sum_of_what_is_added(
    inspect: Callable[..., Any], model: Transformer
) -> None:
    (stage,) = inspect()["stages"]
    levels = stage["residual"]
    assert [sorted(level) for level in levels] == [
        ["stream"],
        *[["attention", "mlp", "stream"]] * model.config.n_layer,
    ]
    embedding = model.embed_tokens.weight[ids_of(stage)].norm(dim=-1).tolist()
    assert levels[0]["stream"] == pytest.approx(embedding, abs=1e-3)
    with torch.no_grad():
        for layer in model.layers:
            layer.self_attn.o_proj.weight.zero_()  # type: ignore[union-attr]
    (stage,) = inspect()["stages"]
    assert max(stage["residual"][1]["attention"]) == 0
    for before, level in itertools.pairwise(stage["residual"]):
        for length, mlp, stream in zip(
            before["stream"], level["mlp"], level["stream"], strict=True
        ):
            assert abs(length - mlp) - 1e-3 <= stream <= length + mlp + 1e-3


def test_head_patterns_reveal_the_planted_heads(
    inspect: Callable[..., Any], tiny_model: ModelConfig
) -> None:
    changes = {"n_embd": 64, "n_head": 2, "n_kv_head": 2, "head_dim": 32, "rope_theta": 10_000.0}
    planted = Transformer(tiny_model.replace(**changes)).init_weights(0).eval()
    (stage,) = inspect("quick fox, old hen: a quick fox, old hen", of=planted)["stages"]
    heads = [habits for layer in stage["heads"] for habits in layer]
    back, *others = heads
    assert back["before"] > 0.5 > max(head["before"] for head in others)
    induction = stage["heads"][1][0]
    assert induction["repeat"] > 2 * max(head["repeat"] for head in heads if head != induction)
    (short,) = inspect("Rain", of=planted)["stages"]
    assert short["heads"][0][0]["repeat"] is None


def test_similar_tokens_have_embeddings_of_the_same_direction(
    inspect: Callable[..., Any], model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    token, twin = tiny_tokenizer.encode(" fox")[0], 300
    with torch.no_grad():
        mean_C = model.embed_tokens.weight.mean(0)
        model.embed_tokens.weight[twin] = 3 * (model.embed_tokens.weight[token] - mean_C) + mean_C
    (stage,) = inspect()["stages"]
    best = stage["similar"][str(token)]
    assert best[0][0] == twin
    assert best[0][1] > 0.95 > best[1][1]
    assert token not in [other for other, _ in best]


def test_generation_matches_the_engine_and_its_cache(
    inspect: Callable[..., Any], model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    sampling = Sampling(temperature=1.5, top_k=0, top_p=1, seed=5)
    (stage,) = inspect(generate=9, sampling=sampling)["stages"]
    written = [token["id"] for token in stage["tokens"] if token["by"] == "model"]
    prompt = ids_of(stage)[: -len(written)]
    engine = Engine(Decoder(model, 1))
    expected = list(engine.generate(prompt, sampling.replace(max_tokens=9)))
    assert written == expected[: len(written)]
    steps = stage["cache"]["steps"]
    assert len(steps) == len(written)
    config = model.config
    per_token = 2 * 4 * config.n_layer * config.n_kv_head * config.head_dim
    assert [step["tokens"] for step in steps] == [len(prompt) + n for n in range(len(steps))]
    assert [step["bytes"] for step in steps] == [per_token * step["tokens"] for step in steps]
    assert stage["cache"]["reserved"] == per_token * config.max_seq_len
    assert [step["read"] for step in steps] == [len(prompt)] + [1] * (len(steps) - 1)


def test_generation_ends_with_the_context_or_the_turn(
    inspect: Callable[..., Any], model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    (stage,) = inspect(generate=500)["stages"]
    assert len(stage["tokens"]) <= model.config.max_seq_len
    full = " fox" * (model.config.max_seq_len - 1)
    assert inspect(full, generate=5)["stages"][0]["cache"]["steps"] == []
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.weight[tiny_tokenizer.special(IM_END)] = model.norm.weight
    (stage,) = inspect(chat=True, generate=30)["stages"]
    ended = [token["by"] for token in stage["tokens"]].count("model")
    assert ended < 30


def test_only_the_last_logits_are_kept_of_a_long_text(
    inspect: Callable[..., Any], model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.inspect.xray.measures.MAX_LOGITS", 3 * model.config.vocab_size)
    (stage,) = inspect(generate=6)["stages"]
    n_prompt, length = (
        len([t for t in stage["tokens"] if t["by"] in by]) for by in (OF_PROMPT, ALL_WRITERS)
    )
    assert list(stage["logits"]) == [str(n) for n in (n_prompt - 1, *range(length - 3, length))]


def test_numbers_that_are_not_finite_are_an_error(
    inspect: Callable[..., Any], model: Transformer
) -> None:
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        inspect()


# --- conversations --------------------------------------------------------------------------------


CONVERSATION = [
    {"role": "user", "content": "The old fox"},
    {"role": "assistant", "content": "The quick hen"},
    {"role": "user", "content": "Who jumped?"},
    {"role": "assistant", "content": "The old fox jumped."},
]


def inspect_messages(
    model: Transformer, tokenizer: Tokenizer, messages: list[dict[str, str]], **changes: Any
) -> Any:
    inspected = InspectedModel("sft", 3, 20, model, tokenizer)
    request = InspectRequest("", False, 0, GREEDY, messages)._replace(**changes)
    return inspect_text("toy", [inspected], request)


def test_answer_is_inspected_as_it_stands_with_its_history(
    model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    document = inspect_messages(model, tiny_tokenizer, CONVERSATION, token=2)
    (stage,) = document["stages"]
    prompt = encode_prompt(tiny_tokenizer, CONVERSATION[:-1])
    answer = tiny_tokenizer.encode(CONVERSATION[-1]["content"])
    assert ids_of(stage) == prompt + answer
    assert document["selected"] == len(prompt) + 2
    assert (document["dropped"], document["truncated"]) == (0, False)
    assert [token["by"] for token in stage["tokens"]].count("model") == 0
    texts = [token["text"] for token in stage["tokens"]]
    assert "".join(texts).endswith("<|im_start|>assistant\nThe old fox jumped.")


def test_results_of_the_calculator_are_not_counted(
    model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    call = "<tool_call>1*2</tool_call><tool_response>2</tool_response>It is 2."
    messages = [{"role": "user", "content": "fox"}, {"role": "assistant", "content": call}]
    document = inspect_messages(model, tiny_tokenizer, messages, token=5)
    texts = [token["text"] for token in document["stages"][0]["tokens"]]
    written = ["<tool_call>", "1", "*", "2", "</tool_call>", "<tool_response>", "2"]
    assert texts[texts.index("<tool_call>") :][:7] == written
    assert document["selected"] == texts.index("</tool_response>") + 1


def test_history_that_does_not_fit_is_left_out_as_in_the_chat(
    model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    context = model.config.max_seq_len
    asked = [*CONVERSATION, *CONVERSATION[:1]]
    for messages in (asked, [{"role": "user", "content": "fox " * 100}]):
        fitted = fit_prompt(tiny_tokenizer, messages, context)
        document = inspect_messages(model, tiny_tokenizer, messages)
        assert ids_of(document["stages"][0]) == fitted.ids
        assert document["dropped"] == fitted.n_dropped
        assert document["truncated"] == fitted.truncated
    assert fit_prompt(tiny_tokenizer, asked, context).n_dropped > 0


@pytest.mark.parametrize(
    "messages",
    [[], "fox", [{"role": "user"}], CONVERSATION[1:], [*CONVERSATION[:1], *CONVERSATION[:1]]],
)
def test_invalid_conversation_is_an_error(
    messages: Any, model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    with pytest.raises(UserError, match="conversation"):
        inspect_messages(model, tiny_tokenizer, messages)


# --- the next token -------------------------------------------------------------------------------


def test_sampled_probabilities_match_how_often_a_token_is_sampled() -> None:
    logits = np.random.default_rng(0).normal(0, 2, 40)
    sampling = Sampling(temperature=0.8, top_k=10, top_p=0.9)
    distribution = next_token_distribution(logits.tolist(), sampling, n_candidates=40)
    drawn = np.bincount(
        [sample_token(logits, sampling, set(), n) for n in range(4000)], minlength=40
    )
    for candidate in distribution.candidates:
        assert drawn[candidate.token] / 4000 == pytest.approx(candidate.sampled or 0.0, abs=0.04)
        assert (drawn[candidate.token] == 0) == (candidate.sampled is None)
    assert distribution.n_kept == np.count_nonzero(drawn) < 10
    assert sum(candidate.probability for candidate in distribution.candidates) == pytest.approx(1.0)


def test_temperature_zero_leaves_one_token() -> None:
    distribution = next_token_distribution([0.0, 3.0, 1.0], Sampling(temperature=0))
    best = distribution.candidates[0]
    assert (best.token, best.sampled) == (1, 1.0)
    assert distribution.n_kept == 1
