"""Speed of the attacks as ratios to other libraries' in one run: images per second on `lenet`, 128 MNIST images.

Run `python benchmarks/attacks.py` while nothing else runs (all of it takes minutes), or name some attacks:
`python benchmarks/attacks.py pgd jsma`. Prints a table and exits with 1 if a ratio misses its bound.
"""

import argparse
import itertools
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import rich.console
import rich.table

sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests"))

import peers

from tfrobust import attacks, data, losses, zoo
from tfrobust.attacks.carlini_wagner import CarliniWagnerL2
from tfrobust.attacks.deepfool import DeepFool
from tfrobust.attacks.gradients import input_gradient

EPS = 0.3
WARM_UP = (3, 2)  # images: peers trace a graph again for a second batch size, and from then on for none


class Peer(NamedTuple):
    """Another library's attack, the least ratio of speeds that is asked for, and how many images it gets."""

    name: str
    prepare: Callable  # model -> (x, y) -> images, or None where there is no result to judge
    asked: float
    n: int | None = None  # None: as many as ours


class Contest(NamedTuple):
    """One of our attacks against its peers; `rounds` is how often they take turns."""

    ours: attacks.AbstractAttack
    peers: tuple
    distance: Callable = peers.l2
    budget: float = np.inf
    rounds: int = 1


def bare_gradient(steps):
    """As many compiled input gradients as PGD takes, and nothing else."""

    def prepare(model):
        def run(x, y):
            for _ in range(steps):
                input_gradient(model, losses.cross_entropy, x, y).numpy()

        return run

    return prepare


def contests(size, small):
    """All contests, by name; `size` is the peers' batch, `small` how many images the slowest peer gets."""
    cw = {"binary_search_steps": 9}
    small_const = {"initial_const": 0.01}
    return {
        "pgd": Contest(
            attacks.PGD(eps=EPS, eps_iter=0.01, nb_iter=40),
            (
                Peer("bare gradient", bare_gradient(40), 0.9),
                Peer(
                    "ART",
                    peers.art("ProjectedGradientDescent", size, eps=EPS, eps_step=0.01, max_iter=40, num_random_init=1),
                    1.8,
                ),
                Peer("Foolbox", peers.foolbox("LinfPGD", size, eps=EPS, abs_stepsize=0.01, steps=40), 1.8),
            ),
            peers.linf,
            EPS,
            rounds=3,
        ),
        "square": Contest(
            attacks.Square(eps=EPS, n_queries=1000),
            (Peer("ART", peers.art("SquareAttack", size, eps=EPS, max_iter=1000), 1.5),),
            peers.linf,
            EPS,
        ),
        "deepfool": Contest(
            DeepFool(max_iter=50),
            (
                Peer("ART", peers.art("DeepFool", size, max_iter=50), 3),
                Peer("Foolbox", peers.foolbox("L2DeepFoolAttack", size, steps=50), 1.3),
            ),
        ),
        "jsma": Contest(
            attacks.JSMA(theta=1.0, gamma=0.1, targeted=True),
            (Peer("ART", peers.art("SaliencyMapMethod", size, theta=1.0, gamma=0.1), 3),),
            peers.l0,
            0.1 * 28 * 28,
        ),
        "cw": Contest(
            CarliniWagnerL2(max_iter=100, **cw, **small_const),
            (
                Peer(
                    "Foolbox",
                    peers.foolbox("L2CarliniWagnerAttack", size, steps=100, stepsize=0.05, **cw, **small_const),
                    1.3,
                ),
                # It only doubles the constant, so that from a small one it finds nothing.
                Peer("ART", peers.art("CarliniL2Method", size, max_iter=100, initial_const=10.0, **cw), 3, small),
            ),
        ),
    }


def timed(runs, x, y, rounds):
    """`{name: (images, images per second)}`, medians over rounds in which the runs take turns.

    Args:
        runs: `{name: (function of images and labels, number of images)}`.
        x: images, at least as many as any run gets.
        y: labels.
        rounds: how often each runs.
    """
    most = max(n for _, n in runs.values())
    for (run, n), few in itertools.product(runs.values(), WARM_UP):
        if n == most:  # what gets fewer images takes minutes, and a moment to compile
            run(x[:few], y[:few])
    found, speeds = {}, {name: [] for name in runs}
    for _, (name, (run, n)) in itertools.product(range(rounds), runs.items()):
        started = time.perf_counter()
        found[name] = run(x[:n], y[:n])
        speeds[name].append(n / (time.perf_counter() - started))
    return {name: (found[name], statistics.median(speeds[name])) for name in runs}


def shown(verdict):
    """Mean distances and successes as the table prints them, ours first."""
    apart = np.isnan(verdict.farther)  # no image on which both succeed
    distance = "-" if apart else " / ".join(f"{mean:.3g}" for mean in verdict.distance)
    return distance, " / ".join(f"{share:.1%}" for share in verdict.success)


def rows(contest, model, x, y):
    """One row of the table per peer, and whether it holds what is asked."""
    labels = peers.likeliest_others(model, x, y) if contest.ours.targeted else y
    runs = {"ours": (lambda x, y: contest.ours(model, x, y).x_adv, len(x))}
    runs |= {peer.name: (peer.prepare(model), min(peer.n or len(x), len(x))) for peer in contest.peers}
    results = timed(runs, x, labels, contest.rounds)
    ours, speed = results["ours"]
    for peer in contest.peers:
        (theirs, their_speed), n = results[peer.name], runs[peer.name][1]
        held = ("", "")
        if theirs is not None:
            judged = contest.distance, contest.budget, contest.ours.targeted
            held = shown(peers.judge(model, x[:n], labels[:n], ours[:n], theirs, *judged))
        ratio = speed / their_speed
        speeds = f"{speed:.3g}", peer.name, f"{their_speed:.3g}", str(n), f"{ratio:.2f}", f">= {peer.asked}"
        yield (contest.ours.name, *speeds, *held), ratio >= peer.asked


def main():
    names = list(contests(1, 1))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("attacks", nargs="*", metavar="attack", help=f"some of {', '.join(names)}; none means all")
    parser.add_argument("-n", type=int, default=128, help="images")
    parser.add_argument("--batch-size", type=int, default=128, help="images that a peer attacks at once")
    parser.add_argument("--small", type=int, default=8, help="images for ART's C&W, far slower than the rest")
    asked = parser.parse_args()
    if unknown := set(asked.attacks) - set(names):
        parser.error(f"attacks must be among {', '.join(names)}. Received: {', '.join(sorted(unknown))}")
    keras.utils.set_random_seed(0)
    model, images = zoo.load("lenet"), data.load("mnist", "test", asked.n + 100)
    x, y = peers.right_images(model, images.pixels(), images.labels, asked.n)
    columns = "attack", "ours img/s", "peer", "peer img/s", "n", "ratio", "asked", "mean distance", "success"
    title = f"lenet, the first {len(x)} MNIST test images that it gets right; distance and success: ours / peer"
    table, console, holds = rich.table.Table(*columns, title=title), rich.console.Console(), []
    for name in asked.attacks or names:
        for row, hold in rows(contests(asked.batch_size, asked.small)[name], model, x, y):
            table.add_row(*row)
            holds.append(hold)
            console.print(*row, sep="  ", style="dim")
    console.print(table)
    return int(not all(holds))


if __name__ == "__main__":
    sys.exit(main())
