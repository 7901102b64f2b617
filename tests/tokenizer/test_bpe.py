"""The tokenizer: lossless on any text, markup stays text, and `tokenizers` agrees with it."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.corpora import take_bytes
from firstwords.recipe import MIN_VOCAB_SIZE
from firstwords.tokenizer import bpe
from firstwords.tokenizer.bpe import (
    IM_END,
    IM_START,
    MAX_TRAINED_CHARS,
    SPECIAL_TOKENS,
    SPLIT_PATTERN,
    Tokenizer,
)

# Any Unicode text, with parts that are hard to tokenize.
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
def test_decoding_restores_any_text(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert tiny_tokenizer.decode(tiny_tokenizer.encode(text)) == text


@given(text=ANY_TEXT)
def test_the_bytes_of_the_tokens_are_the_text(tiny_tokenizer: Tokenizer, text: str) -> None:
    ids = tiny_tokenizer.encode(text)
    assert b"".join(map(tiny_tokenizer.token_bytes, ids)) == text.encode()


@given(text=ANY_TEXT)
def test_markup_in_a_text_stays_text(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert not set(tiny_tokenizer.encode(text)) & set(tiny_tokenizer.special_ids)


@given(texts=st.lists(ANY_TEXT, max_size=6))
def test_a_batch_is_encoded_like_single_texts(tiny_tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tiny_tokenizer.encode_batch(texts) == [tiny_tokenizer.encode(text) for text in texts]


@given(text=ANY_TEXT)
def test_tokenizers_encodes_the_same(tiny_tokenizer: Tokenizer, text: str) -> None:
    """The two implementations of BPE differ: one merges by rank, the other pair by pair."""
    other = Backend.from_str(tiny_tokenizer.backend.to_str())
    other.encode_special_tokens = True
    assert other.encode(text, add_special_tokens=False).ids == tiny_tokenizer.encode(text)
    assert other.decode(tiny_tokenizer.encode(text), skip_special_tokens=False) == text


def test_tokenizers_encodes_the_same_with_a_larger_vocabulary(data_folder: Path) -> None:
    corpus = corpora.open_corpus(str(data_folder / "pretrain"), "--data")
    sample = list(take_bytes(corpora.texts(corpus, "train", 0), 1_500_000))
    trained = Tokenizer.train(iter(sample), 4096)
    assert trained.vocab_size == 4096
    held_out = list(take_bytes(corpora.texts(corpus, "val", 0), 300_000))
    trained.backend.encode_special_tokens = True
    encodings = trained.backend.encode_batch_fast(held_out, add_special_tokens=False)
    assert trained.encode_batch(held_out) == [e.ids for e in encodings]


# Runs around the length from which a run of spaces is encoded on its own.
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from([" ", "\t", "\u3000", "\u2003", "\xa0", "\n", "\r\n", "\x1c"]),
            st.integers(1, 25),
            st.sampled_from(["", "", "a", "5", "!", "é", "'s", "漢"]),
        ),
        max_size=8,
    )
)
def test_long_runs_of_spaces_do_not_change_the_ids(
    parts: list[tuple[str, int, str]], tiny_tokenizer: Tokenizer
) -> None:
    text = "".join(space * n + word for space, n, word in parts)
    expected = tiny_tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "MAX_MATCHED_SPACES", 7)
        assert tiny_tokenizer.encode(text) == expected


def test_a_million_spaces_are_encoded(tiny_tokenizer: Tokenizer) -> None:
    text = "a" + " " * 1_000_100 + "b"
    assert tiny_tokenizer.decode(tiny_tokenizer.encode(text)) == text


@pytest.mark.slow
@pytest.mark.parametrize("end", ["b", "", "\n"])
def test_a_million_spaces_are_encoded_as_tokenizers_does(
    end: str, tiny_tokenizer: Tokenizer
) -> None:
    text = "a" + " " * 1_000_100 + end
    expected = tiny_tokenizer.backend.encode(text, add_special_tokens=False).ids
    assert tiny_tokenizer.encode_batch([text, "the fox"], 2)[0] == expected


@pytest.mark.parametrize("word", ["a", " ", "\n", "\0", "0", "-", "fox", "漢字", " \n"])
def test_a_document_that_is_one_long_word_trains_a_tokenizer(word: str) -> None:
    text = word * (200_000 // len(word))
    trained = Tokenizer.train([text, "the fox ran"], 400)
    longest = max(len(trained.token_bytes(i)) for i in range(trained.vocab_size))
    assert longest <= 4 * (2 * MAX_TRAINED_CHARS + 1)
    assert trained.decode(trained.encode(text)) == text


def test_ordinary_text_gives_the_merges_of_the_unlimited_pattern(sample_text: list[str]) -> None:
    trained = Tokenizer.train(iter(sample_text), 600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "TRAINING_PATTERN", SPLIT_PATTERN)
        unlimited = Tokenizer.train(iter(sample_text), 600)
    assert trained.backend.to_str() == unlimited.backend.to_str()


def test_every_byte_is_a_token(tiny_tokenizer: Tokenizer) -> None:
    tokens = [tiny_tokenizer.token_bytes(token) for token in range(tiny_tokenizer.vocab_size)]
    assert {bytes([byte]) for byte in range(256)} <= set(tokens)
    assert len(set(tokens)) == len(tokens)


def test_invalid_utf8_is_replaced(tiny_tokenizer: Tokenizer) -> None:
    first_of_two, _ = (tiny_tokenizer.encode(text)[0] for text in ("\u07ff", "x"))
    assert tiny_tokenizer.decode([first_of_two, *tiny_tokenizer.encode("x")]) == "\ufffdx"


def test_special_tokens_are_decoded_to_their_names(tiny_tokenizer: Tokenizer) -> None:
    ids = [tiny_tokenizer.special(IM_START), *tiny_tokenizer.encode("user\nhi")]
    assert tiny_tokenizer.decode([*ids, tiny_tokenizer.special(IM_END)]) == (
        f"{IM_START}user\nhi{IM_END}"
    )
    assert tiny_tokenizer.token_bytes(tiny_tokenizer.special(IM_END)) == IM_END.encode()
    assert len(tiny_tokenizer.special_ids) == len(SPECIAL_TOKENS)


def test_every_digit_is_one_token(tiny_tokenizer: Tokenizer) -> None:
    for number in ("305", "1000000", "12", "x99y"):
        digits = [
            t for t in tiny_tokenizer.encode(number) if tiny_tokenizer.token_bytes(t).isdigit()
        ]
        assert [tiny_tokenizer.decode([t]) for t in digits] == [c for c in number if c.isdigit()]


def test_frequent_words_become_tokens(tiny_tokenizer: Tokenizer, sample_text: list[str]) -> None:
    assert len(tiny_tokenizer.encode(" looked")) == 1
    n_bytes = sum(len(text.encode()) for text in sample_text)
    assert n_bytes / sum(map(len, tiny_tokenizer.encode_batch(sample_text))) > 3


def test_training_is_deterministic(sample_text: list[str], tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        Tokenizer.train(iter(sample_text), 400).save(tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_short_text_gives_a_smaller_vocabulary() -> None:
    assert Tokenizer.train(["ab"], 4096).vocab_size == MIN_VOCAB_SIZE + 1


def test_a_loaded_tokenizer_encodes_the_same(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    text = f"The old fox {IM_END} said: 漢字 305"
    assert loaded.encode(text) == tiny_tokenizer.encode(text)
    assert loaded.special_ids == tiny_tokenizer.special_ids


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"model": 3}'])
def test_an_error_names_a_file_that_is_not_a_tokenizer(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        Tokenizer.load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"Ā"', '"Ǥ"'), ('"!"', '"\U0001f600"'), ('"a"', '"b"')],
)
def test_a_damaged_vocabulary_is_an_error(
    old: str, new: str, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Libraries panic at some of these, which is no Exception."""
    path = tmp_path / "tokenizer.json"
    tiny_tokenizer.save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match="cannot read the tokenizer"):
        Tokenizer.load(path)


def test_a_tokenizer_without_our_special_tokens_is_an_error(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tiny_tokenizer.save(tmp_path / "tokenizer.json")
    text = (tmp_path / "tokenizer.json").read_text().replace("<tool_call>", "<other>")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="lacks the special token <tool_call>"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_an_unknown_id_has_no_bytes(tiny_tokenizer: Tokenizer) -> None:
    assert tiny_tokenizer.token_bytes(tiny_tokenizer.vocab_size + 5) == b""


def test_training_reports_its_merges(sample_text: list[str]) -> None:
    reported: list[tuple[int, int]] = []
    Tokenizer.train(sample_text, 400, lambda done, total: reported.append((done, total)))
    assert reported == sorted(reported)
    assert reported[-1][0] == reported[-1][1] == 400 - 256 - len(SPECIAL_TOKENS)
