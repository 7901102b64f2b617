"""Bits per byte as a function of parameters and tokens, fitted to a series of small runs.

    L(N, D) = E + (A / N^alpha + B / D^beta)^kappa

N is the number of matmul parameters, D the number of training tokens. With kappa 1 this is the law
of Hoffmann et al. (arXiv 2203.15556), in which the gain from a larger model is the same for any
amount of text; with beta 1 and no E it is that of Kaplan et al. (arXiv 2001.08361), in which the
gain grows with the text. `firstwords bench miniseries` trains the series and fits the law. Its
results are in `scaling_laws/`: one law for the starter curriculum, one for other text, fitted to
mixed English.
"""

import json
import math
from importlib import resources
from typing import Literal

from firstwords.common.schema import FrozenModel

Kind = Literal["starter", "text"]
MAX_PARAMETER_EXTRAPOLATION = 10  # times the largest model that the law was fitted to
MAX_TOKEN_EXTRAPOLATION = 30  # times the longest run
EPOCHS_DECAY = 15.4  # arXiv 2305.16264


class ScalingLaw(FrozenModel):
    """A fitted scaling law.

    `error` is the root mean square of the relative errors on the runs. Runs whose learning rate
    stays as high as in the pipeline's pretraining, which leaves most of the decay to later stages,
    end with more bits per byte: `undecayed` times as many after a million tokens, growing with the
    power `undecayed_growth` of the tokens. `undecayed_error` is the error of law and factor
    together on such runs. `max_parameters` and `max_tokens` are those of the runs.
    """

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
    max_parameters: int
    max_tokens: int

    def bits_per_byte(self, n_parameters: float, n_tokens: float) -> float:
        """Return the expected bits per byte, with the learning rate decayed to its end."""
        reducible = self.a * n_parameters**-self.alpha + self.b * n_tokens**-self.beta
        return float(self.irreducible + reducible**self.kappa)

    def undecayed_factor(self, n_tokens: float) -> float:
        """Return how many times more bits per byte a run has that ends at a high learning rate."""
        return max(1.0, self.undecayed * (n_tokens / 1e6) ** self.undecayed_growth)

    def covers(self, n_parameters: float, n_tokens: float) -> bool:
        """Return whether such a run is close enough to the fitted range for an estimate."""
        return (
            n_parameters <= MAX_PARAMETER_EXTRAPOLATION * self.max_parameters
            and n_tokens <= MAX_TOKEN_EXTRAPOLATION * self.max_tokens
        )


def load_law(kind: Kind) -> ScalingLaw:
    """Load the law fitted to text of this kind."""
    path = resources.files("firstwords.planning") / "scaling_laws" / f"{kind}.json"
    return ScalingLaw.model_validate(json.loads(path.read_text(encoding="utf-8"))["law"])


def effective_tokens(unique: float, epochs: float) -> float:
    """Return the tokens of unique text worth as much as `unique` tokens read `epochs` times.

    `epochs` is at least 1. The value of a repetition decays exponentially with a constant of 15.4
    (Muennighoff et al., arXiv 2305.16264).
    """
    return unique * (1 + EPOCHS_DECAY * (1 - math.exp(-(epochs - 1) / EPOCHS_DECAY)))
