"""The scaling laws that the planner uses: their form, and that they are the fit of their runs."""

import json
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.bench import miniseries
from firstwords.bench.law_fit import Point, fit
from firstwords.model.size import matmul_parameters
from firstwords.planning.model_sizes import model_config
from firstwords.planning.scaling_law import Kind, ScalingLaw, effective_tokens, load_law

ROOT = Path(__file__).resolve().parents[2]
TRUE_LAW = ScalingLaw(
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
    max_parameters=10**7,
    max_tokens=2 * 10**6,
)
KINDS = get_args(Kind)


def points_of_true_law(noise: float = 0.0) -> list[Point]:
    points = []
    for number, (shape, tokens, decayed) in enumerate(miniseries.grid(4096)):
        n = matmul_parameters(model_config(shape, 4096))
        factor = 1 if decayed else TRUE_LAW.undecayed_factor(tokens)
        bits = factor * TRUE_LAW.bits_per_byte(n, tokens) * (1 + noise * (-1) ** number)
        points.append(Point(shape[0], shape[1], n, round(tokens), decayed, bits, 1.0))
    return points


def document(kind: Kind) -> dict[str, Any]:
    path = resources.files("firstwords.planning") / "scaling_laws" / f"{kind}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_fit_estimates_runs_between_and_beyond_its_points(noise: float) -> None:
    fitted = fit(points_of_true_law(noise))
    for n, d in ((1e6, 7e5), (2e6, 3e6), (8e6, 1e7)):
        expected = TRUE_LAW.bits_per_byte(n, d)
        assert fitted.bits_per_byte(n, d) == pytest.approx(expected, rel=0.03)
    for tokens in (1e6, 8e6):
        expected = TRUE_LAW.undecayed_factor(tokens)
        assert fitted.undecayed_factor(tokens) == pytest.approx(expected, abs=0.02)
    assert fitted.error == pytest.approx(noise, abs=0.002)


def test_undecayed_runs_have_an_error_of_their_own() -> None:
    points = points_of_true_law()
    assert fit(points).undecayed_error < 0.002
    undecayed = [number for number, point in enumerate(points) if not point.decayed]
    for number, factor in zip(undecayed, (1.1, 0.9, 0.9, 1.1), strict=True):  # not on a line
        bits = factor * points[number].bits_per_byte
        points[number] = points[number]._replace(bits_per_byte=bits)
    fitted = fit(points)
    assert fitted.error < 0.002
    assert 0.05 < fitted.undecayed_error < 0.11


def test_runs_that_get_worse_with_more_text_fit_no_law() -> None:
    worse = [p._replace(bits_per_byte=1 / p.bits_per_byte) for p in points_of_true_law()]
    with pytest.raises(ValueError, match="no law"):
        fit(worse)


@pytest.mark.parametrize("kind", KINDS)
def test_the_law_in_a_document_is_the_fit_of_its_runs(kind: Kind) -> None:
    series = document(kind)
    assert series["kind"] == kind
    fitted = fit([Point(**point) for point in series["points"]])
    assert fitted.model_dump() == pytest.approx(load_law(kind).model_dump())
    assert len(series["points"]) >= 10
    assert fitted.error < 0.03


@pytest.mark.parametrize("kind", KINDS)
@given(n=st.floats(1e5, 1e9), d=st.floats(1e5, 1e12))
def test_more_parameters_and_more_tokens_are_better(kind: Kind, n: float, d: float) -> None:
    law = load_law(kind)
    assert law.bits_per_byte(2 * n, d) < law.bits_per_byte(n, d)
    assert law.bits_per_byte(n, 2 * d) < law.bits_per_byte(n, d)


@given(unique=st.floats(1, 1e9), epochs=st.floats(1, 1000))
def test_repeated_text_is_worth_less_than_unique_text(unique: float, epochs: float) -> None:
    tokens = effective_tokens(unique, epochs)
    assert unique <= tokens * (1 + 1e-9)
    assert tokens <= unique * min(epochs, 16.4) * (1 + 1e-9)


def test_four_epochs_are_nearly_as_good_as_unique_text() -> None:
    """arXiv 2305.16264."""
    assert effective_tokens(1e6, 4.0) > 3.6e6


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_is_written_with_its_plot(kind: Kind, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    series = document(kind)
    miniseries.write_series(series, tmp_path)
    name = f"miniseries-{series['source']}"
    assert json.loads((tmp_path / f"{name}.json").read_text()) == series
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_the_runs_and_the_law(kind: Kind) -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    shown = page.split(f"<!-- law: {kind} -->\n")[1].split("<!-- end -->")[0]
    text = miniseries.render_series(document(kind))
    assert shown == f"```text\n{text}\n```\n"
    assert len(text.splitlines()) == len(document(kind)["points"]) + 3
