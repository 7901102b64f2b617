"""The tokenizer: any text comes back, markup in a text stays text, transformers agrees."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from firstwords.data import corpora
from firstwords.errors import UserError
from firstwords.recipe import MIN_VOCAB_SIZE
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import IM_END, IM_START, SPECIAL_TOKENS, Tokenizer

# Any Unicode text, with the things in it that a tokenizer may stumble over.
ANY_TEXT = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [*SPECIAL_TOKENS, " ", "  ", "\n", "\r\n", "\t", "don't", "1234", "é", "😀"]
        ),
    ),
    max_size=12,
).map("".join)


@given(text=ANY_TEXT)
@example("\x00\ufeff\u200d\U0010ffff")
def test_any_text_comes_back(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert tiny_tokenizer.decode(tiny_tokenizer.encode(text)) == text


@given(text=ANY_TEXT)
def test_token_bytes_put_together_are_the_text(tiny_tokenizer: Tokenizer, text: str) -> None:
    ids = tiny_tokenizer.encode(text)
    assert b"".join(map(tiny_tokenizer.token_bytes, ids)) == text.encode()


@given(text=ANY_TEXT)
def test_markup_in_a_text_stays_text(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert not set(tiny_tokenizer.encode(text)) & set(tiny_tokenizer.special_ids)


@given(texts=st.lists(ANY_TEXT, max_size=6))
def test_a_batch_is_encoded_like_its_texts(tiny_tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tiny_tokenizer.encode_batch(texts) == [tiny_tokenizer.encode(text) for text in texts]


@given(text=ANY_TEXT)
def test_the_saved_file_encodes_alike_in_tokenizers(tiny_tokenizer: Tokenizer, text: str) -> None:
    """Two implementations of BPE: one merges by rank, the other pair by pair."""
    other = Backend.from_str(tiny_tokenizer.backend.to_str())
    other.encode_special_tokens = True
    assert other.encode(text, add_special_tokens=False).ids == tiny_tokenizer.encode(text)
    assert other.decode(tiny_tokenizer.encode(text), skip_special_tokens=False) == text


def test_a_larger_vocabulary_encodes_alike_too(data_folder: Path) -> None:
    corpus = corpora.open_corpus(str(data_folder / "pretrain"), "--data")
    sample = list(take(corpora.texts(corpus, "train", 0), 1_500_000))
    made = Tokenizer.train(iter(sample), 4096)
    assert made.vocab_size == 4096
    held_out = list(take(corpora.texts(corpus, "val", 0), 300_000))
    made.backend.encode_special_tokens = True
    theirs = made.backend.encode_batch_fast(held_out, add_special_tokens=False)
    assert made.encode_batch(held_out) == [e.ids for e in theirs]


def test_every_byte_is_a_token(tiny_tokenizer: Tokenizer) -> None:
    tokens = [tiny_tokenizer.token_bytes(token) for token in range(tiny_tokenizer.vocab_size)]
    assert {bytes([byte]) for byte in range(256)} <= set(tokens)
    assert len(set(tokens)) == len(tokens)


def test_bytes_that_are_no_utf8_are_replaced(tiny_tokenizer: Tokenizer) -> None:
    first_of_two, _ = (tiny_tokenizer.encode(text)[0] for text in ("\u07ff", "x"))
    assert tiny_tokenizer.decode([first_of_two, *tiny_tokenizer.encode("x")]) == "\ufffdx"


def test_special_tokens_are_written_out(tiny_tokenizer: Tokenizer) -> None:
    ids = [tiny_tokenizer.special(IM_START), *tiny_tokenizer.encode("user\nhi")]
    assert tiny_tokenizer.decode([*ids, tiny_tokenizer.special(IM_END)]) == (
        f"{IM_START}user\nhi{IM_END}"
    )
    assert tiny_tokenizer.token_bytes(tiny_tokenizer.special(IM_END)) == IM_END.encode()
    assert len(tiny_tokenizer.special_ids) == len(SPECIAL_TOKENS)


def test_every_digit_is_a_token_of_its_own(tiny_tokenizer: Tokenizer) -> None:
    for number in ("305", "1000000", "12", "x99y"):
        digits = [
            t for t in tiny_tokenizer.encode(number) if tiny_tokenizer.token_bytes(t).isdigit()
        ]
        assert [tiny_tokenizer.decode([t]) for t in digits] == [c for c in number if c.isdigit()]


def test_frequent_words_become_tokens(tiny_tokenizer: Tokenizer, sample_text: list[str]) -> None:
    assert len(tiny_tokenizer.encode(" looked")) == 1
    n_bytes = sum(len(text.encode()) for text in sample_text)
    assert n_bytes / sum(map(len, tiny_tokenizer.encode_batch(sample_text))) > 3


def test_training_again_gives_the_same_tokenizer(sample_text: list[str], tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        Tokenizer.train(iter(sample_text), 400).save(tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_little_text_makes_fewer_tokens() -> None:
    assert Tokenizer.train(["ab"], 4096).vocab_size == MIN_VOCAB_SIZE + 1


def test_a_saved_tokenizer_is_the_same(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    text = f"The old fox {IM_END} said: 漢字 305"
    assert loaded.encode(text) == tiny_tokenizer.encode(text)
    assert loaded.special_ids == tiny_tokenizer.special_ids


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"model": 3}'])
def test_a_file_that_is_no_tokenizer_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        Tokenizer.load(path)


def test_a_tokenizer_without_our_special_tokens_is_refused(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tiny_tokenizer.save(tmp_path / "tokenizer.json")
    text = (tmp_path / "tokenizer.json").read_text().replace("<tool_call>", "<other>")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="lacks the special token <tool_call>"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_an_id_beyond_the_vocabulary_stands_for_nothing(tiny_tokenizer: Tokenizer) -> None:
    assert tiny_tokenizer.token_bytes(tiny_tokenizer.vocab_size + 5) == b""
