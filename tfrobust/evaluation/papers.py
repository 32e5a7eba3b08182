"""The attack settings of the five papers, as attacks for a threat model.

Budgets and steps keep the papers' proportions to the `eps` that is asked for: at eps 0.3 (MNIST) or 8/255 (CIFAR-10)
they are the papers' own numbers.
"""

import numpy as np

from tfrobust import attacks
from tfrobust.attacks.gradient import LARGE, pgd_step
from tfrobust.evaluation import inspection


def attacks_for(threat, model=None):
    """The attacks of the paper whose layers the model holds; DQA's, which has float rows too, for a float model."""
    return PAPERS[paper_of(model)](threat)


def paper_of(model):
    """Key of the paper that a model's layers come from: `sqa`, `mcd`, `lpr` or `dqa`."""
    if inspection.has_layer(model, "SQA"):
        return "sqa"
    kinds = {type(quantizer).__name__ for quantizer in inspection.quantizers_of(model)}
    if inspection.has_layer(model, "MCDropout") or kinds & {"Binary", "BinaryStochastic", "KBit"}:
        return "mcd"
    return "lpr" if any(kind.startswith("DoReFa") for kind in kinds) else "dqa"


def sqa(threat):
    """Stochastic quantized activation, tables 1-3: FGSM, PGD-40 at two thirds of eps (PGD-7), C&W in Linf."""
    shared, eps_iter = _shared(threat), pgd_step(threat.eps)
    if threat.eps >= LARGE:
        smaller = shared | {"eps": threat.eps * 2 / 3}
        return [
            attacks.FGSM(**shared),
            attacks.PGD(**smaller, eps_iter=eps_iter, nb_iter=40),
            attacks.CarliniWagnerLinf(**shared, eps_iter=eps_iter, nb_iter=40),
        ]
    return [
        attacks.FGSM(**shared),
        attacks.PGD(**shared, eps_iter=eps_iter, nb_iter=7),
        attacks.CarliniWagnerLinf(**shared, eps_iter=eps_iter, nb_iter=30),
    ]


def dqa(threat):
    """Dynamic quantized activation, tables 1-3: FGSM, PGD with 40 (7) steps, C&W L2."""
    steps = {"eps_iter": pgd_step(threat.eps), "nb_iter": 40 if threat.eps >= LARGE else 7}
    shared = _shared(threat)
    limits = {name: shared[name] for name in ("clip_min", "clip_max")}
    return [attacks.FGSM(**shared), attacks.PGD(**shared, **steps), attacks.CarliniWagnerL2(**limits)]


def mcd(threat):
    """Monte-Carlo dropout, tables 1-4: FGSM, PGD-40, JSMA with gamma 0.1 and theta 1."""
    shared = _shared(threat)
    limits = {name: shared[name] for name in ("clip_min", "clip_max")}
    pgd = attacks.PGD(**shared, eps_iter=threat.eps / 30, nb_iter=40)
    return [attacks.FGSM(**shared), pgd, attacks.JSMA(**limits, gamma=0.1, theta=1.0)]


def lpr(threat):
    """Low precision as regularization: FGSM, PGD-50, constant offsets."""
    shared = _shared(threat)
    pgd = attacks.PGD(**shared, eps_iter=threat.eps / 10, nb_iter=50)
    offsets = [attacks.ConstantOffset(**shared)] if threat.norm == np.inf else []
    return [*offsets, attacks.FGSM(**shared), pgd]


def dd(threat):
    """Deep Defense, table 1: DeepFool, FGSM, PGD at a third of eps, C&W L2."""
    shared = _shared(threat)
    limits = {name: shared[name] for name in ("clip_min", "clip_max")}
    pgd = attacks.PGD(**shared | {"eps": threat.eps / 3}, eps_iter=threat.eps / 30, nb_iter=40)
    return [attacks.DeepFool(**limits), attacks.FGSM(**shared), pgd, attacks.CarliniWagnerL2(**limits)]


def _shared(threat):
    return {"eps": threat.eps, "norm": threat.norm, "clip_min": threat.bounds.low, "clip_max": threat.bounds.high}


PAPERS = {"sqa": sqa, "dqa": dqa, "mcd": mcd, "lpr": lpr, "dd": dd}
