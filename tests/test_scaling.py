"""The laws that the planner chooses by: what they say, and that they are those of their runs."""

import json
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.bench import miniseries
from firstwords.bench.miniseries import Point, fit, grid
from firstwords.model import matmul_parameters
from firstwords.recipe import model_config
from firstwords.scaling import Kind, Law, law, useful_tokens

TRUE = Law(
    irreducible=0.8,
    a=50.0,
    alpha=0.4,
    b=200.0,
    beta=0.45,
    kappa=1.0,
    error=0.0,
    undecayed=1.05,
    undecayed_growth=0.04,
    undecayed_error=0.0,
    runs=16,
    most_parameters=10**7,
    most_tokens=2 * 10**6,
)
KINDS = get_args(Kind)


def points(noise: float = 0.0) -> list[Point]:
    made = []
    for number, (shape, tokens, decayed) in enumerate(grid(4096)):
        n = matmul_parameters(model_config(shape, 4096))
        bits = TRUE.bits_per_byte(n, tokens) * (1 if decayed else TRUE.without_decay(tokens))
        wrong = 1 + noise * (-1) ** number
        made.append(Point(shape[0], shape[1], n, round(tokens), decayed, bits * wrong, 1.0))
    return made


def document(kind: Kind) -> dict[str, Any]:
    path = resources.files("firstwords") / "miniseries" / f"{kind}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_fit_foretells_what_lies_between_and_beyond(noise: float) -> None:
    fitted = fit(points(noise))
    for n, d in ((1e6, 7e5), (2e6, 3e6), (8e6, 1e7)):
        assert fitted.bits_per_byte(n, d) == pytest.approx(TRUE.bits_per_byte(n, d), rel=0.03)
    for tokens in (1e6, 8e6):
        expected = TRUE.without_decay(tokens)
        assert fitted.without_decay(tokens) == pytest.approx(expected, abs=0.02)
    assert fitted.error == pytest.approx(noise, abs=0.002)


def test_the_error_of_runs_without_the_decay_is_that_of_law_and_factor() -> None:
    made = points()
    assert fit(made).undecayed_error < 0.002
    high = [n for n, point in enumerate(made) if not point.decayed]
    for number, wrong in zip(high, (1.1, 0.9, 0.9, 1.1), strict=True):  # no line can follow
        made[number] = made[number]._replace(bits_per_byte=wrong * made[number].bits_per_byte)
    fitted = fit(made)
    assert fitted.error < 0.002
    assert 0.05 < fitted.undecayed_error < 0.11


def test_runs_that_get_worse_with_more_text_fit_no_law() -> None:
    upside_down = [p._replace(bits_per_byte=1 / p.bits_per_byte) for p in points()]
    with pytest.raises(ValueError, match="no law"):
        fit(upside_down)


@pytest.mark.parametrize("kind", KINDS)
def test_the_law_is_that_of_the_runs_beside_it(kind: Kind) -> None:
    made = document(kind)
    assert made["kind"] == kind
    again = fit([Point(**point) for point in made["points"]])
    assert again.model_dump() == pytest.approx(law(kind).model_dump())
    assert len(made["points"]) >= 10
    assert again.error < 0.03


@pytest.mark.parametrize("kind", KINDS)
@given(n=st.floats(1e5, 1e9), d=st.floats(1e5, 1e12))
def test_more_parameters_and_more_tokens_are_never_worse(kind: Kind, n: float, d: float) -> None:
    known = law(kind)
    assert known.bits_per_byte(2 * n, d) < known.bits_per_byte(n, d)
    assert known.bits_per_byte(n, 2 * d) < known.bits_per_byte(n, d)


@given(unique=st.floats(1, 1e9), epochs=st.floats(1, 1000))
def test_a_repetition_is_worth_less_than_fresh_text(unique: float, epochs: float) -> None:
    worth = useful_tokens(unique, epochs)
    assert unique <= worth * (1 + 1e-9)
    assert worth <= unique * min(epochs, 16.4) * (1 + 1e-9)


def test_a_few_epochs_are_nearly_as_good_as_fresh_text() -> None:
    """arXiv 2305.16264: up to four."""
    assert useful_tokens(1e6, 4.0) > 3.6e6


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_is_drawn(kind: Kind, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = document(kind)
    miniseries.write(made, tmp_path)
    name = f"miniseries-{made['source']}"
    assert json.loads((tmp_path / f"{name}.json").read_text()) == made
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    words = miniseries.describe(made)
    assert len(words.splitlines()) == len(made["points"]) + 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_guide_shows_the_runs_and_the_law(kind: Kind) -> None:
    guide = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
    shown = guide.split(f"<!-- law: {kind} -->\n")[1].split("<!-- end -->")[0]
    assert shown == f"```text\n{miniseries.describe(document(kind))}\n```\n"
