"""Monte-Carlo uncertainty as one compiled call against as many calls of the model, taken in turn in one run.

Run `make benchmarks` while nothing else runs. Prints a table and exits with 1 if a ratio misses its bound. What is won
is what comes before a network's first dropout (computed once), the price of eager calls, and a random number per unit
(a bit, at rate 1/2). The second convolution of `lenet` every pass has to compute on an input of its own.
"""

import sys

import numpy as np
import rich.console
import rich.table
from keras import ops
from steps import seconds

from tfrobust import architectures, data
from tfrobust.evaluation import uncertainty

IMAGES, PASSES, ROUNDS = 500, 50, 9
BOUNDS = {"mlp_mcd": 5.0, "lenet_mcd": 5.0, "lenet_randbnn": 1.5}


def calls(model, x):
    """A function that asks the model `PASSES` times and takes the same statistics."""

    def run():
        probabilities = np.stack([np.asarray(ops.softmax(model(x))) for _ in range(PASSES)])
        return probabilities.sum(axis=0).argmax(axis=-1), probabilities.var(axis=0).mean(axis=-1)

    return run


def speedup(name, x):
    """How many times as fast the compiled call is."""
    model = architectures.build(name)
    taken = seconds({"calls": calls(model, x), "once": lambda: uncertainty(model, x, PASSES)}, ROUNDS)
    return taken["calls"] / taken["once"]


def main():
    x = data.load("mnist" if data.is_available("mnist") else "digits", "test", IMAGES).pixels()
    table = rich.table.Table("network", "speed / calls'", "bound", title=f"{len(x)} images, {PASSES} passes")
    ratios = {name: speedup(name, x) for name in BOUNDS}
    for name, ratio in ratios.items():
        table.add_row(name, f"{ratio:.2f}", f">= {BOUNDS[name]}")
    rich.console.Console().print(table)
    return int(any(ratio < BOUNDS[name] for name, ratio in ratios.items()))


if __name__ == "__main__":
    sys.exit(main())
