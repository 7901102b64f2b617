"""Fit a scaling law to a series of runs.

    L(N, D) = E + (A / N^alpha + B / D^beta)^kappa

`planning/scaling_law.py` says where the form comes from. Exponents and E are searched on a grid; A
and B are then a linear problem.

Shapes: P points, A values of alpha, B values of beta.
"""

import itertools
from typing import NamedTuple

import numpy as np

from firstwords.planning.scaling_law import ScalingLaw

ALPHAS, BETAS = np.arange(0.2, 2.01, 0.05), np.arange(0.2, 1.41, 0.05)
KAPPAS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0)
IRREDUCIBLE_FRACTIONS = np.arange(0.0, 0.91, 0.1)  # E as a fraction of the series' lowest loss
MAX_FIT_ERROR = 0.1  # relative; a law with a larger error says nothing


class Point(NamedTuple):
    """A run of the series and its result."""

    n_layer: int
    n_embd: int
    parameters: int  # matmul parameters
    tokens: int
    decayed: bool  # whether the learning rate decays to its end
    bits_per_byte: float
    seconds: float


def fit(points: list[Point]) -> ScalingLaw:
    """Return the law with the least squared relative errors on the points whose learning rate
    decayed. `undecayed` compares the other points with it. Raises ValueError if no law fits."""
    decayed = [point for point in points if point.decayed]
    lowest = min(point.bits_per_byte for point in decayed)
    fits = [
        law
        for fraction, kappa in itertools.product(IRREDUCIBLE_FRACTIONS, KAPPAS)
        if (law := _fit_given(decayed, fraction * lowest, kappa))
    ]
    best = min(fits, key=lambda law: law.error, default=None)
    if best is None or best.error > MAX_FIT_ERROR:
        raise ValueError("no law of this form fits the runs")
    best = best.replace(
        runs=len(points),
        max_parameters=max(point.parameters for point in points),
        max_tokens=max(point.tokens for point in points),
    )
    return best.replace(**_fit_undecayed(best, points))


def _fit_given(points: list[Point], irreducible: float, kappa: float) -> ScalingLaw | None:
    """Return the best law with this E and kappa; None if A or B is negative for all exponents.

    For given exponents, A and B are a linear problem in the kappa-th root of the loss; the weights
    make its errors those of the loss, to first order.
    """
    n, d, bits = _columns(points)
    root = (bits - irreducible) ** (1 / kappa)
    weight = kappa * (bits - irreducible) / root / bits
    # 1. Solve the 2 x 2 normal equations for all pairs of exponents at once.
    x_AP = n ** -ALPHAS[:, None] * weight
    y_BP = d ** -BETAS[:, None] * weight
    xx_A, yy_B, xy_AB = (x_AP**2).sum(1), (y_BP**2).sum(1), x_AP @ y_BP.T
    x_A, y_B = x_AP @ (root * weight), y_BP @ (root * weight)
    determinant_AB = xx_A[:, None] * yy_B - xy_AB**2
    a_AB = (x_A[:, None] * yy_B - y_B * xy_AB) / determinant_AB
    b_AB = (y_B * xx_A[:, None] - x_A[:, None] * xy_AB) / determinant_AB
    # 2. Take the pair with the least error.
    terms_ABP = (
        a_AB[:, :, None] * n ** -ALPHAS[:, None, None] + b_AB[:, :, None] * d ** -BETAS[:, None]
    )
    fitted_ABP = irreducible + np.maximum(terms_ABP, 0) ** kappa
    error_AB = np.sqrt(np.mean((fitted_ABP / bits - 1) ** 2, axis=2))
    error_AB[(a_AB <= 0) | (b_AB <= 0)] = np.inf
    best = np.unravel_index(error_AB.argmin(), error_AB.shape)
    if not np.isfinite(error_AB[best]):
        return None
    return ScalingLaw(
        irreducible=float(irreducible),
        a=float(a_AB[best]),
        alpha=float(ALPHAS[best[0]]),
        b=float(b_AB[best]),
        beta=float(BETAS[best[1]]),
        kappa=kappa,
        error=float(error_AB[best]),
        undecayed=1.0,
        undecayed_growth=0.0,
        undecayed_error=0.0,
        runs=len(points),
        max_parameters=0,
        max_tokens=0,
    )


def _fit_undecayed(law: ScalingLaw, points: list[Point]) -> dict[str, float]:
    """Return how much more bits per byte the runs have whose learning rate stayed high than the law
    expects of runs with decay: a straight line in logarithms, level if all have as many tokens."""
    ratios = [
        (p.tokens / 1e6, p.bits_per_byte / law.bits_per_byte(p.parameters, p.tokens))
        for p in points
        if not p.decayed
    ]
    if not ratios:
        return {}
    tokens, ratio = np.log(np.array(ratios)).T
    level = len(set(tokens)) == 1
    growth, offset = (0.0, ratio.mean()) if level else np.polyfit(tokens, ratio, 1)
    errors = np.exp(offset + growth * tokens - ratio) - 1
    return {
        "undecayed": float(np.exp(offset)),
        "undecayed_growth": float(growth),
        "undecayed_error": float(np.sqrt(np.mean(errors**2))),
    }


def _columns(points: list[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = np.array([(p.parameters, p.tokens, p.bits_per_byte) for p in points], dtype=float)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def law_formula(law: ScalingLaw) -> str:
    """Format the law as an equation."""
    return (
        f"L = {law.irreducible:.3f} + ({law.a:.4g} / N^{law.alpha:.2f} + "
        f"{law.b:.4g} / D^{law.beta:.2f})^{law.kappa:g}"
    )
