"""Measure how well the model of a run copies a sequence that it has just read.

    python benchmarks/copying.py --run NAME

The model reads 60 random tokens twice. The result is the share of tokens in the second half that it
predicts correctly, with its initial weights and after every stage with a checkpoint. A random guess
is right once in the size of the vocabulary.
"""

import argparse

import torch

from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import REQUIRED_STAGES
from firstwords.runs.registry import open_run

ROWS, LENGTH = 64, 60


@torch.inference_mode()
def copy_accuracy(model: Transformer) -> float:
    """Return the share of the repeated tokens that are the model's most likely ones."""
    generator = torch.Generator().manual_seed(0)
    half_BT = torch.randint(model.config.vocab_size, (ROWS, LENGTH), generator=generator)
    guess_BT = model(torch.cat((half_BT, half_BT), dim=1)).argmax(-1)
    return float((guess_BT[:, LENGTH:-1] == half_BT[:, 1:]).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--run", help="name of the run [default: the newest]")
    run = open_run(parser.parse_args().run)
    initial = Transformer(run.recipe.model).init_weights(run.recipe.seed)
    print(f"{'initial weights':<15} {copy_accuracy(initial):5.0%}")
    for stage in REQUIRED_STAGES:
        if checkpoint := run.newest(stage):
            model = hf_format.load_model(checkpoint.directory)
            print(f"{stage:<15} {copy_accuracy(model):5.0%}  (step {checkpoint.step:,})")


if __name__ == "__main__":
    main()
