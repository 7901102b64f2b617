"""Bits per byte as a function of parameters and tokens, fitted to a series of small runs.

    L(N, D) = E + A / N^alpha + B / D^beta

N are the parameters that take part in matrix products, D the tokens trained on (Hoffmann et al.,
arXiv 2203.15556). `firstwords bench miniseries` trains the series and fits the law; what it wrote
stands in `miniseries/`: one law for the starter curriculum, one for other text, which was mixed
English.
"""

import json
import math
from importlib import resources
from typing import Literal

from firstwords.recipe import Fixed

Kind = Literal["starter", "text"]


class Law(Fixed):
    """The fitted law. `error` is the root mean square of its relative errors on the runs;
    `undecayed` is how many times higher a run ends whose learning rate stays as high as that of the
    pipeline's pretraining, which leaves most of the decay to the stages after it. The runs had
    `most_parameters` and `most_tokens` at most."""

    irreducible: float
    a: float
    alpha: float
    b: float
    beta: float
    error: float
    undecayed: float
    runs: int
    most_parameters: int
    most_tokens: int

    def bits_per_byte(self, n_parameters: float, n_tokens: float) -> float:
        return self.irreducible + self.a * n_parameters**-self.alpha + self.b * n_tokens**-self.beta

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
