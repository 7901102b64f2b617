"""Mixtures: the shares of every prefix, the same records every time, weights as people write."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.data.corpora import conversations, documents, open_corpus, texts
from firstwords.data.mixing import mix, parse_weights

SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=8)


def stream(source: int, sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Records of a source: its number and their sizes."""
    yield from ((source, size) for size in sizes)


def streams(sizes: list[list[int]]) -> list[Callable[[], Iterator[tuple[int, int]]]]:
    return [partial(stream, number, of_one) for number, of_one in enumerate(sizes)]


def write_conversations(path: Path, names: range) -> str:
    chats = (
        [{"role": "user", "content": f"Who is {i}?"}, {"role": "assistant", "content": path.stem}]
        for i in names
    )
    path.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    return str(path)


@given(
    st.lists(st.tuples(SIZES, st.floats(0.01, 1)), min_size=1, max_size=4),
    st.integers(1, 400),
)
def test_every_prefix_has_the_shares_but_for_a_record_of_each_source(
    sources: list[tuple[list[int], float]], n_records: int
) -> None:
    sizes, total = [of for of, _ in sources], sum(weight for _, weight in sources)
    shares = [weight / total for _, weight in sources]
    mixed = mix(streams(sizes), shares, lambda record: record[1], repeat=True)
    taken = [0] * len(sources)
    largest = [max(of) for of in sizes]
    for source, size in islice(mixed, n_records):
        taken[source] += size
        for share, own, record in zip(shares, taken, largest, strict=True):
            behind = share * sum(taken) - own
            assert -record - 1e-6 <= behind <= sum(largest) - record + 1e-6


@given(st.lists(SIZES, min_size=1, max_size=4))
def test_without_repeating_every_record_occurs_once(sizes: list[list[int]]) -> None:
    equal = [1 / len(sizes)] * len(sizes)
    mixed = list(mix(streams(sizes), equal, lambda record: record[1], repeat=False))
    for number, of_one in enumerate(sizes):
        assert [size for source, size in mixed if source == number] == of_one


def test_a_mixture_repeats_small_sources_and_holds_out_records_of_each(tmp_path: Path) -> None:
    small = write_conversations(tmp_path / "small.jsonl", range(60))
    large = write_conversations(tmp_path / "large.jsonl", range(1000))
    corpus = open_corpus((f"{small}:0.5", f"{large}:0.5"), "--chat-data")
    train = list(islice(conversations(corpus, "train", 0), 1000))
    assert train == list(islice(conversations(corpus, "train", 0), 1000))
    own = [chat[0]["content"] for chat in train if chat[1]["content"] == "small"]
    assert 450 < len(own) < 550
    held_out = list(conversations(corpus, "val", 0))
    held_out_own = [chat[0]["content"] for chat in held_out if chat[1]["content"] == "small"]
    assert len(held_out) == 20 + 2
    assert len(held_out_own) == 2
    assert not set(own) & set(held_out_own)
    assert len(set(own)) == 58


def test_a_mixture_with_the_starter_curriculum_is_endless(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("A note.\n\n" * 100)
    corpus = open_corpus((str(tmp_path / "notes.txt"), "starter:0.75"), "--data")
    assert corpus.text_bytes("text") == float("inf")
    assert corpus.source == (f"{tmp_path / 'notes.txt'}:0.25", "starter:0.75")
    assert open_corpus(corpus.source, "--data") == corpus
    found = list(islice(documents(corpus, "train", 0), 500))
    own = sum(len(document.text) for document in found if document.source == "notes.txt")
    assert own / sum(len(document.text) for document in found) == pytest.approx(0.25, abs=0.03)


def test_a_finite_mixture_lasts_as_long_as_the_part_that_lasts_longest(tmp_path: Path) -> None:
    for name, size in (("a", 1000), ("b", 3000)):
        (tmp_path / f"{name}.txt").write_text("x" * (size - 1) + "\n")
    corpus = open_corpus((f"{tmp_path}/a.txt:0.5", f"{tmp_path}/b.txt:0.5"), "--data")
    assert corpus.text_bytes("text") == pytest.approx(6000 * 49 / 50)


def test_a_path_may_have_a_colon_and_a_number(tmp_path: Path) -> None:
    path = write_conversations(tmp_path / "notes:2.jsonl", range(60))
    path = str(Path(path).rename(tmp_path / "notes.jsonl:2"))
    with pytest.raises(UserError, match="unknown file type"):
        open_corpus(path, "--chat-data")
    (tmp_path / "trip:2024").mkdir()
    (tmp_path / "trip:2024" / "a.txt").write_text("One.\n\nTwo.\n")
    folder = str(tmp_path / "trip:2024")
    assert open_corpus(folder, "--data").name == folder
    mixture = open_corpus((f"{folder}:0.5", "starter"), "--data")
    assert mixture.source == (f"{folder}:0.5", "starter:0.5")
    assert next(texts(open_corpus(folder, "--data"), "train", 0))


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a", "b"], [0.5, 0.5]),
        (["a:3", "b:1"], [0.75, 0.25]),
        (["a:0.3", "b"], [0.3, 0.7]),
        (["a:.5", "b", "hub:c"], [0.5, 0.25, 0.25]),
    ],
)
def test_weights_are_relative_or_share_what_is_left(
    sources: list[str], expected: list[float]
) -> None:
    assert [w for _, w in parse_weights(sources, "--data")] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        (("starter:1", "b"), "the weights of --data leave nothing for b"),
        (("starter:0", "b:1"), "--data starter has a share below 0.1%"),
        (("starter:0.2", "starter:0.8"), "--data starter is given twice"),
        ("starter:0.5", "--data starter has a weight, but no other source"),
        (("starter:0.5", "no-such-file:0.5"), "--data no-such-file does not exist"),
    ],
)
def test_wrong_mixtures_are_refused(sources: tuple[str, ...] | str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        open_corpus(sources, "--data")
