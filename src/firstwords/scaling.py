"""Bits per byte as a function of parameters and tokens, fitted to a series of small runs.

    L(N, D) = E + (A / N^alpha + B / D^beta)^kappa

N are the parameters that take part in matrix products, D the tokens trained on. With kappa 1 this
is the law of Hoffmann et al. (arXiv 2203.15556), in which a larger model is better by as much
however little it has read; with beta 1 and no E that of Kaplan et al. (arXiv 2001.08361), in which
it is the better the more it has read. `firstwords bench miniseries` trains the series and fits the
law; what it wrote stands in `miniseries/`: one law for the starter curriculum, one for other text,
which was mixed English.
"""

import json
import math
from importlib import resources
from typing import Literal

from firstwords.recipe import Fixed

Kind = Literal["starter", "text"]


class Law(Fixed):
    """The fitted law. `error` is the root mean square of its relative errors on the runs. A run
    whose learning rate stays as high as that of the pipeline's pretraining, which leaves most of
    the decay to the stages after it, ends `undecayed` times higher after a million tokens, and the
    more so the longer it is: with the power `undecayed_growth` of its tokens; `undecayed_error` is
    that of law and factor together on such runs. The runs had `most_parameters` and `most_tokens`
    at most."""

    irreducible: float
    a: float
    alpha: float
    b: float
    beta: float
    kappa: float
    error: float
    undecayed: float
    undecayed_growth: float
    undecayed_error: float
    runs: int
    most_parameters: int
    most_tokens: int

    def bits_per_byte(self, n_parameters: float, n_tokens: float) -> float:
        missing = self.a * n_parameters**-self.alpha + self.b * n_tokens**-self.beta
        return float(self.irreducible + missing**self.kappa)

    def without_decay(self, n_tokens: float) -> float:
        """How many times higher a run of so many tokens ends at a high learning rate."""
        return max(1.0, self.undecayed * (n_tokens / 1e6) ** self.undecayed_growth)

    def reaches(self, n_parameters: float, n_tokens: float) -> bool:
        """Whether the law may be asked about such a run: not if it is far beyond the measured."""
        return n_parameters <= 10 * self.most_parameters and n_tokens <= 30 * self.most_tokens


def law(kind: Kind) -> Law:
    path = resources.files("firstwords") / "miniseries" / f"{kind}.json"
    return Law.model_validate(json.loads(path.read_text(encoding="utf-8"))["law"])


def useful_tokens(unique: float, epochs: float) -> float:
    """Tokens of fresh text that are worth as much as `unique` ones read `epochs` times, at least 1.

    Muennighoff et al. (arXiv 2305.16264): what a repetition adds decays with a constant of 15.4.
    """
    decay = 15.4
    return unique * (1 + decay * (1 - math.exp(-(epochs - 1) / decay)))
