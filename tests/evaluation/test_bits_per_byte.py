"""Bits per byte: as computed by hand, whatever the shards and batches."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from firstwords.data import tokens
from firstwords.data.tokens import TokenStore, store_texts
from firstwords.evaluation import bits_per_byte as bpb
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

MakeModel = Callable[..., Transformer]
TEXTS = ["The old fox went.", "Grüß dich, 305 stones!", "x", "The river said: hello! " * 4]
SEQ_LEN = 24


def make_store(directory: Path, tokenizer: Tokenizer) -> TokenStore:
    return store_texts(directory, TEXTS, tokenizer, 10**9, lambda counts: None)


@pytest.fixture
def store(tmp_path: Path, tiny_tokenizer: Tokenizer) -> TokenStore:
    return make_store(tmp_path / "store", tiny_tokenizer)


@torch.inference_mode()
def by_hand(model: Transformer, tokenizer: Tokenizer) -> list[float]:
    """Nats of each document: a row's targets are predicted from the row alone."""
    stream, document = [], []
    for number, text in enumerate(TEXTS):
        ids = [tokenizer.special(END_OF_TEXT), *tokenizer.encode(text)]
        stream += ids
        document += [number] * len(ids)
    nats = [0.0] * len(TEXTS)
    for place in range(1, len(stream)):
        if stream[place] == tokenizer.special(END_OF_TEXT):
            continue
        row_start = (place - 1) // SEQ_LEN * SEQ_LEN
        logits = model(torch.tensor([stream[row_start:place]]))[0, -1].double()
        nats[document[place]] -= logits.log_softmax(-1)[stream[place]].item()
    return nats


def test_bits_per_byte_are_those_computed_by_hand(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    found = bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    bits = sum(by_hand(model, tiny_tokenizer)) / math.log(2)
    assert found.score == pytest.approx(bits / n_bytes, rel=1e-4)
    assert (found.n, found.text_bytes) == (len(TEXTS), n_bytes)


def test_sources_share_the_bits_of_the_whole(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, labels = random_model(tiny_model), ["a", "b", "a", "c"]
    found = bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids, labels)
    nats = by_hand(model, tiny_tokenizer)
    assert list(found.by_source) == ["a", "b", "c"]
    for source, of_source in found.by_source.items():
        own = [number for number, label in enumerate(labels) if label == source]
        n_bytes = sum(len(TEXTS[number].encode()) for number in own)
        bits = sum(nats[number] for number in own) / math.log(2)
        assert of_source.score == pytest.approx(bits / n_bytes, rel=1e-4)
        assert (of_source.n, of_source.text_bytes) == (len(own), n_bytes)
    assert not bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids).by_source


def test_guessing_costs_the_vocabularys_bits_for_every_token_of_text(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig
) -> None:
    model = Transformer(tiny_model).init_weights(0)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    n_tokens = sum(len(tiny_tokenizer.encode(text)) for text in TEXTS)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    found = bpb.bits_per_byte(model, store, SEQ_LEN, tiny_tokenizer.special_ids)
    wanted = n_tokens * math.log2(tiny_model.vocab_size) / n_bytes
    assert found.score == pytest.approx(wanted, rel=1e-5)


def test_special_tokens_cost_nothing_and_every_other_token_something(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    nats = bpb.nats_of_tokens(model, store, SEQ_LEN, tiny_tokenizer.special_ids, len(store))
    ids = store.ids(0, len(store))
    special = [token in tiny_tokenizer.special_ids for token in ids.tolist()]
    assert nats.shape == (len(store),)
    assert (nats == 0).tolist() == special
    assert sum(special) == len(TEXTS)


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize("shard_tokens", [1, 10, 10**6])
def test_shards_and_batches_change_nothing(
    batch_rows: int,
    shard_tokens: int,
    store: TokenStore,
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    random_model: MakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, special = random_model(tiny_model), tiny_tokenizer.special_ids
    wanted = bpb.bits_per_byte(model, store, SEQ_LEN, special)
    monkeypatch.setattr(bpb, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(tokens, "SHARD_TOKENS", shard_tokens)
    monkeypatch.setattr(tokens, "BATCH_DOCUMENTS", 1)
    other = make_store(tmp_path / "other", tiny_tokenizer)
    found = bpb.bits_per_byte(model, other, SEQ_LEN, special)
    assert found.score == pytest.approx(wanted.score, rel=1e-5)
    assert found.ci95 == pytest.approx(wanted.ci95, rel=1e-5)


def test_the_interval_holds_the_score_and_is_the_same_each_time(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, special = random_model(tiny_model), tiny_tokenizer.special_ids
    found = bpb.bits_per_byte(model, store, SEQ_LEN, special)
    assert found.ci95[0] < found.score < found.ci95[1]
    assert bpb.bits_per_byte(model, store, SEQ_LEN, special) == found


def test_the_interval_of_one_document_is_its_score(
    tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel, tmp_path: Path
) -> None:
    one = store_texts(tmp_path, TEXTS[:1], tiny_tokenizer, 10**9, lambda counts: None)
    found = bpb.bits_per_byte(random_model(tiny_model), one, SEQ_LEN, tiny_tokenizer.special_ids)
    assert found.ci95 == pytest.approx((found.score, found.score))


def test_the_first_documents_alone(
    store: TokenStore, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, special = random_model(tiny_model), tiny_tokenizer.special_ids
    sizes = [len(text.encode()) for text in TEXTS]
    labels = [str(number) for number in range(len(TEXTS))]
    each = bpb.bits_per_byte(model, store, SEQ_LEN, special, labels).by_source
    for count in (1, 2):
        most = sum(sizes[:count])
        found = bpb.bits_per_byte(model, store, SEQ_LEN, special, most_bytes=most)
        bits = sum(each[str(n)].score * sizes[n] for n in range(count))
        assert (found.n, found.text_bytes) == (count, most)
        assert found.score == pytest.approx(bits / most)
    assert bpb.bits_per_byte(model, store, SEQ_LEN, special, most_bytes=0).n == 1
