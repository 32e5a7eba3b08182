"""Suites: lists of attacks for a threat model, by name. Cheap attacks come first."""

from typing import NamedTuple

import numpy as np

from tfrobust import attacks, checks
from tfrobust.attacks.gradient import pgd_step
from tfrobust.evaluation import inspection, papers


class Suite(NamedTuple):
    """Attacks in the order they run.

    In a cascade each attack gets only the images that still stand: the worst case costs little, but no attack's
    own figure is known. Otherwise every attack gets every image.
    """

    attacks: list
    is_cascade: bool = False


def basic(threat, model=None, sources=()):
    """Noise, offsets, FGSM, PGD-40, transfer from each source model, Square with 2,000 queries; on every image.

    The step of PGD is the papers': see `attacks.gradient.pgd_step`.
    """
    del model
    shared, pgd = _shared(threat), _pgd(threat)
    first = [attacks.UniformNoise(**shared)]
    if threat.norm == np.inf:
        first += [attacks.ConstantOffset(**shared), attacks.ConstantOffset(**shared, offsets=(threat.eps,))]
    transfers = [attacks.Transfer(pgd, source) for source in sources]
    return Suite([*first, attacks.FGSM(**shared), pgd, *transfers, attacks.Square(**shared, n_queries=2000)])


def standard(threat, model=None, sources=()):
    """The four attacks of AutoAttack's standard version, at its settings.

    F. Croce, M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
    Attacks", ICML 2020.
    """
    del model, sources
    shared = _shared(threat)
    return Suite(
        [
            attacks.APGD(**shared, nb_iter=100),
            attacks.TargetedAPGD(**shared, nb_iter=100, n_targets=9),
            attacks.FAB(**shared, max_iter=100, n_target_classes=9),
            attacks.Square(**shared, n_queries=5000),
        ],
        is_cascade=True,
    )


def rand(threat, model=None, sources=()):
    """AutoAttack's version for random defences: APGD on two losses, each gradient the mean of 20 passes."""
    del model, sources
    shared = _shared(threat)
    both = [attacks.APGD(**shared, nb_iter=100), attacks.APGD(**shared, nb_iter=100, loss="dlr")]
    return Suite([attacks.EOT(attack, 20) for attack in both], is_cascade=True)


def adaptive(threat, model=None, sources=()):
    """Every attack that fits the model's layers, from cheap to strong, each on the images that still stand.

    Always noise, offsets, transfers, APGD on three losses, targeted APGD, FAB and Square; for quantized models APGD by
    every other pseudo-derivative (BPDA) too; for rounded images discrete gradient ascent; for binary kernels, whose
    logits are large, APGD on cooled logits. Gradients of a random model are means of 20 passes.
    """
    shared = _shared(threat)
    apgd, short = attacks.APGD(**shared, nb_iter=100), attacks.APGD(**shared, nb_iter=25)
    by_margin = attacks.APGD(**shared, nb_iter=100, loss="margin")
    others = inspection.other_surrogates(model)
    first = [attacks.UniformNoise(**shared, n_draws=5)]
    if threat.norm == np.inf:
        first.append(attacks.ConstantOffset(**shared))
    first += [short, *(attacks.BPDA(short, name) for name in others)]
    first += [attacks.Transfer(_pgd(threat), source) for source in sources]
    first += _discrete(threat, model, others)
    first += [apgd, *(attacks.BPDA(apgd, name) for name in others)]
    if any(quantizer.precision == 1 for quantizer in inspection.quantizers_of(model)):
        first.append(attacks.Temperature(apgd))
    first += [by_margin, *(attacks.BPDA(by_margin, name) for name in others)]
    last = [attacks.Square(**shared, n_queries=1000)]
    if inspection.classes_of(model) != 2:  # of two classes, "the other one" is the only target
        targeted = attacks.TargetedAPGD(**shared, nb_iter=50, n_targets=9)
        last += [targeted, *(attacks.BPDA(targeted, name) for name in others)]
    last.append(attacks.FAB(**shared, max_iter=50, n_target_classes=3))
    return Suite([*first, *last, attacks.Square(**shared, n_queries=5000, seed=1)], is_cascade=True)


def _discrete(threat, model, others):
    """Discrete ascent for a model that rounds its images, by each pseudo-derivative and from two starts."""
    bits = inspection.input_bits(model)
    if bits is None or threat.norm != np.inf:
        return []
    starts = [
        attacks.DiscreteAscent(**_shared(threat), bits=bits, nb_iter=60, rand_init=init) for init in (False, True)
    ]
    return [*starts, *(attacks.BPDA(start, name) for start in starts for name in others)]


def _pgd(threat):
    return attacks.PGD(**_shared(threat), eps_iter=pgd_step(threat.eps), nb_iter=40)


def _shared(threat):
    return {"eps": threat.eps, "norm": threat.norm, "clip_min": threat.bounds.low, "clip_max": threat.bounds.high}


def paper(threat, model=None, sources=()):
    """The settings of the paper that the model's layers come from, see `papers`; on every image."""
    del sources
    return Suite(papers.attacks_for(threat, model))


SUITES = {"basic": basic, "paper": paper, "standard": standard, "rand": rand, "adaptive": adaptive}


def get(suite, threat, model=None, sources=()):
    """The attacks of a suite.

    Args:
        suite: a suite's name, or a list of attacks, each to be run on every image.
        threat: a `ThreatModel`.
        model: the model to be attacked; suites look at its layers.
        sources: models for transfer attacks.

    Returns:
        A `Suite`.

    Raises:
        ValueError: an unknown name, an empty list, or a targeted attack.
    """
    if isinstance(suite, Suite):
        return suite
    if not isinstance(suite, str):
        checks.require(len(list(suite)) > 0, "a suite must hold at least one attack.", suite=suite)
        targeted = [attack.name for attack in suite if attack.targeted]
        message = "attacks of a suite must not be targeted: they are given the true labels, to be left."
        checks.require(not targeted, message, targeted=targeted)
        return Suite(list(suite))
    return SUITES[checks.one_of(suite, "suite", SUITES)](threat, model, sources)
