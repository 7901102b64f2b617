"""How well the model of a run repeats what it has just read.

    python benchmarks/copying.py --run NAME

Sixty random tokens, and the same again: the share of the second half that is the model's likeliest
guess, with its first weights and after every stage that is finished. Chance is one in the size of
the vocabulary.
"""

import argparse

import torch

from firstwords import checkpoint
from firstwords.model import Transformer
from firstwords.recipe import STAGES
from firstwords.run import open_run

ROWS, LENGTH = 64, 60


@torch.inference_mode()
def repeated(model: Transformer) -> float:
    generator = torch.Generator().manual_seed(0)
    half_BT = torch.randint(model.config.vocab_size, (ROWS, LENGTH), generator=generator)
    guess_BT = model(torch.cat((half_BT, half_BT), dim=1)).argmax(-1)
    return float((guess_BT[:, LENGTH:-1] == half_BT[:, 1:]).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--run", help="the run; the newest one if not given")
    run = open_run(parser.parse_args().run)
    first = Transformer(run.recipe.model).init_weights(run.recipe.seed)
    print(f"{'first weights':<14} {repeated(first):5.0%}")
    for stage in STAGES:
        if found := run.newest(stage):
            model = checkpoint.load_model(found.directory)
            print(f"{stage:<14} {repeated(model):5.0%}  (step {found.step:,})")


if __name__ == "__main__":
    main()
