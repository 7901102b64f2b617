"""Bits per byte: as computed token by token, whatever the shards and batches."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from firstwords.data import token_store
from firstwords.data.token_store import TokenStore, store_texts
from firstwords.evaluation import bits_per_byte as bpb
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer

MakeModel = Callable[..., Transformer]
TEXTS = ["The old fox went.", "Grüß dich, 305 stones!", "x", "The river said: hello! " * 4]
SEQ_LEN = 24


def make_store(directory: Path, tokenizer: Tokenizer) -> TokenStore:
    return store_texts(directory, TEXTS, tokenizer, 10**9, lambda counts: None)


@pytest.fixture
def store(tmp_path: Path, tiny_tokenizer: Tokenizer) -> TokenStore:
    return make_store(tmp_path / "store", tiny_tokenizer)


@torch.inference_mode()
def nats_one_by_one(model: Transformer, tokenizer: Tokenizer) -> list[float]:
    """Return the nats of each document; targets are predicted from their row and document alone."""
    stream, document = [], []
    for number, text in enumerate(TEXTS):
        ids = [tokenizer.special(END_OF_TEXT), *tokenizer.encode(text)]
        stream += ids
        document += [number] * len(ids)
    nats = [0.0] * len(TEXTS)
    for position in range(1, len(stream)):
        if stream[position] == tokenizer.special(END_OF_TEXT):
            continue
        row_start = (position - 1) // SEQ_LEN * SEQ_LEN
        start = max(row_start, document.index(document[position]))
        logits = model(torch.tensor([stream[start:position]]))[0, -1].double()
        nats[document[position]] -= logits.log_softmax(-1)[stream[position]].item()
    return nats


def test_bits_per_byte_equal_those_computed_token_by_token(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    result = bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    bits = sum(nats_one_by_one(model, tiny_tokenizer)) / math.log(2)
    assert result.score == pytest.approx(bits / n_bytes, rel=1e-4)
    assert (result.n, result.text_bytes) == (len(TEXTS), n_bytes)


def test_each_source_has_its_own_score(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, labels = random_model(tiny_model), ["a", "b", "a", "c"]
    result = bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids, labels)
    nats = nats_one_by_one(model, tiny_tokenizer)
    assert list(result.by_source) == ["a", "b", "c"]
    for source, of_source in result.by_source.items():
        selected = [number for number, label in enumerate(labels) if label == source]
        n_bytes = sum(len(TEXTS[number].encode()) for number in selected)
        bits = sum(nats[number] for number in selected) / math.log(2)
        assert of_source.score == pytest.approx(bits / n_bytes, rel=1e-4)
        assert (of_source.n, of_source.text_bytes) == (len(selected), n_bytes)
    assert not bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids).by_source


def test_a_uniform_model_needs_log2_vocab_bits_per_token(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig
) -> None:
    model = Transformer(tiny_model).init_weights(0)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    n_tokens = sum(len(tiny_tokenizer.encode(text)) for text in TEXTS)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    result = bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids)
    expected = n_tokens * math.log2(tiny_model.vocab_size) / n_bytes
    assert result.score == pytest.approx(expected, rel=1e-5)


def test_only_special_tokens_have_zero_loss(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    nats = bpb.nats_of_tokens(model, store, SEQ_LEN, tiny_tokenizer.special_ids, len(store))
    ids = store.ids(0, len(store))
    special = [token in tiny_tokenizer.special_ids for token in ids.tolist()]
    assert nats.shape == (len(store),)
    assert (nats == 0).tolist() == special
    assert sum(special) == len(TEXTS)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
@pytest.mark.parametrize("shard_tokens", [1, 10, 10**6])
def test_shards_and_batches_change_nothing(
    batch_size: int,
    shard_tokens: int,
    store: TokenStore,
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    random_model: MakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, special = random_model(tiny_model), tiny_tokenizer.special_ids
    expected = bpb.bits_per_byte(model, store, SEQ_LEN, special)
    monkeypatch.setattr(bpb, "EVAL_BATCH_SIZE", batch_size)
    monkeypatch.setattr(token_store, "SHARD_TOKENS", shard_tokens)
    monkeypatch.setattr(token_store, "BATCH_DOCUMENTS", 1)
    other = make_store(tmp_path / "other", tiny_tokenizer)
    result = bpb.bits_per_byte(model, other, SEQ_LEN, special)
    assert result.score == pytest.approx(expected.score, rel=1e-5)
    assert result.ci95 == pytest.approx(expected.ci95, rel=1e-5)


def test_the_interval_contains_the_score_and_is_deterministic(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, special = random_model(tiny_model), tiny_tokenizer.special_ids
    result = bpb.bits_per_byte(model, store, SEQ_LEN, special)
    assert result.ci95[0] < result.score < result.ci95[1]
    assert bpb.bits_per_byte(model, store, SEQ_LEN, special) == result


def test_the_interval_of_one_document_is_its_score(
    tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel, tmp_path: Path
) -> None:
    one = store_texts(tmp_path, TEXTS[:1], tiny_tokenizer, 10**9, lambda counts: None)
    result = bpb.bits_per_byte(random_model(tiny_model), one, SEQ_LEN, tiny_tokenizer.special_ids)
    assert result.ci95 == pytest.approx((result.score, result.score))


def test_max_bytes_limits_the_documents(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, special = random_model(tiny_model), tiny_tokenizer.special_ids
    sizes = [len(text.encode()) for text in TEXTS]
    labels = [str(number) for number in range(len(TEXTS))]
    each = bpb.bits_per_byte(model, store, SEQ_LEN, special, labels).by_source
    for count in (1, 2):
        max_bytes = sum(sizes[:count])
        result = bpb.bits_per_byte(model, store, SEQ_LEN, special, max_bytes=max_bytes)
        bits = sum(each[str(n)].score * sizes[n] for n in range(count))
        assert (result.n, result.text_bytes) == (count, max_bytes)
        assert result.score == pytest.approx(bits / max_bytes)
    assert bpb.bits_per_byte(model, store, SEQ_LEN, special, max_bytes=0).n == 1
