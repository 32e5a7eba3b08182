"""Attacks held to other libraries' on trained models: at the same budget ours are at least as strong."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import peers
import pytest

from tfrobust import attacks, data, zoo
from tfrobust.attacks.carlini_wagner import CarliniWagnerL2
from tfrobust.attacks.deepfool import DeepFool

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

HAS_MNIST = data.is_available("mnist")
# With the Linf budget at which about half of the images fall, so that neither side can only win or only lose.
MODELS = {"lenet": 0.36, "lenet_dqa2": 0.28} if HAS_MNIST else {"lenet_dqa2.digits_pgd": 0.12}
FARTHER = 1.02  # times the peer's mean distance that ours may reach, over the images where both succeed
GAMMA = 0.1
# ART only doubles the constant, so that it finds nothing from a small one, and each of its steps searches along a line:
# with these settings it takes some 310 passes per image, and ours gets no more of them.
ART_SEARCH = {"binary_search_steps": 5, "max_iter": 10, "initial_const": 30.0}


class Duel(NamedTuple):
    """One of our attacks and a peer's of the same budget, built for an eps, and how their images are measured."""

    library: str
    n: int  # images
    ours: Callable
    theirs: Callable
    distance: Callable = peers.l2
    budget: Callable = lambda eps: np.inf
    targeted: bool = False
    is_random: bool = False  # whether chance decides on much


def of_eps(eps):
    return eps


def least_distance(library, n, ours, theirs):
    """A duel whose attacks know no eps."""
    return Duel(library, n, lambda eps: ours, lambda eps: theirs)


DUELS = {
    "apgd-art": Duel(
        "art",
        192,
        lambda eps: attacks.APGD(eps=eps, nb_iter=40),
        lambda eps: peers.art("AutoProjectedGradientDescent", eps=eps, eps_step=2 * eps, max_iter=40, nb_random_init=1),
        peers.linf,
        of_eps,
        is_random=True,
    ),
    "square-art": Duel(
        "art",
        96,
        lambda eps: attacks.Square(eps=eps, n_queries=300),
        lambda eps: peers.art("SquareAttack", eps=eps, max_iter=300),
        peers.linf,
        of_eps,
        is_random=True,
    ),
    # ART keeps its own overshoot, next to nothing: the boundary has been crossed before it comes into play.
    "deepfool-art": least_distance("art", 16, DeepFool(max_iter=20), peers.art("DeepFool", max_iter=20)),
    "deepfool-foolbox": least_distance("foolbox", 16, DeepFool(), peers.foolbox("L2DeepFoolAttack", steps=50)),
    "cw-art": least_distance(
        "art", 8, CarliniWagnerL2(binary_search_steps=5, max_iter=60), peers.art("CarliniL2Method", **ART_SEARCH)
    ),
    # With fewer searches than the nine of its default Foolbox finds next to nothing.
    "cw-foolbox": least_distance(
        "foolbox",
        12,
        CarliniWagnerL2(binary_search_steps=9, max_iter=40),
        peers.foolbox("L2CarliniWagnerAttack", binary_search_steps=9, steps=40, stepsize=0.05, initial_const=0.01),
    ),
    "jsma-art": Duel(
        "art",
        32,
        lambda eps: attacks.JSMA(theta=1.0, gamma=GAMMA, targeted=True),
        lambda eps: peers.art("SaliencyMapMethod", theta=1.0, gamma=GAMMA),
        peers.l0,
        lambda eps: GAMMA * 28 * 28,
        targeted=True,
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def trained(request):
    """`(eps, model, images that it gets right, their labels)`."""
    model = zoo.load(request.param)
    images = data.load("mnist" if HAS_MNIST else "digits", "test", 230)
    return MODELS[request.param], model, *peers.right_images(model, images.pixels(), images.labels, 192)


def tolerance(duel, verdict):
    """A point, or one image where that is more; if chance decides, and two standard errors of a paired difference."""
    sampling = 2 * np.sqrt(verdict.apart / duel.n) if duel.is_random else 0.0
    return max(0.01, 1.001 / duel.n) + sampling


@pytest.mark.parametrize("name", DUELS)
def test_at_the_same_budget_ours_is_at_least_as_strong(name, trained):
    duel, (eps, model, x, y) = DUELS[name], trained
    pytest.importorskip(duel.library, reason=f"{duel.library} is not installed")
    x, y = x[: duel.n], y[: duel.n]
    labels = peers.likeliest_others(model, x, y) if duel.targeted else y
    ours = duel.ours(eps)(model, x, labels).x_adv
    theirs = duel.theirs(eps)(model)(x, labels)
    verdict = peers.judge(model, x, labels, ours, theirs, duel.distance, duel.budget(eps), duel.targeted)
    assert verdict.success[0] >= verdict.success[1] - tolerance(duel, verdict), verdict
    assert np.isnan(verdict.farther) or verdict.farther <= FARTHER, verdict
