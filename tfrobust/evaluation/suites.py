"""Suites: lists of attacks for a threat model, by name."""

import numpy as np

from tfrobust import checks
from tfrobust.attacks import FGSM, PGD, ConstantOffset, Square, Transfer, UniformNoise


def basic(threat, source=None, square_queries=2000):
    """FGSM, PGD-40, Square, uniform noise, constant offsets and, given a `source` model, transfer from it.

    The step of PGD is a thirtieth of the budget (0.01 at eps 0.3, the papers' setting).
    """
    shared = {"eps": threat.eps, "norm": threat.norm, "clip_min": threat.bounds.low, "clip_max": threat.bounds.high}
    pgd = PGD(**shared, eps_iter=threat.eps / 30, nb_iter=40)
    attacks = [UniformNoise(**shared), FGSM(**shared), pgd]
    if threat.norm == np.inf:
        attacks[1:1] = [ConstantOffset(**shared), ConstantOffset(**shared, offsets=(threat.eps,))]
        attacks.append(Square(**shared, n_queries=square_queries))
    if source is not None:
        attacks.insert(-1, Transfer(pgd, source))
    return attacks


SUITES = {"basic": basic}


def get(suite, threat, source=None):
    """The attacks of a suite.

    Args:
        suite: a suite's name, or a list of attacks, which is returned as it is.
        threat: a `ThreatModel`.
        source: model for transfer attacks, or None.

    Raises:
        ValueError: an unknown name.
    """
    if not isinstance(suite, str):
        return list(suite)
    return SUITES[checks.one_of(suite, "suite", SUITES)](threat, source)
