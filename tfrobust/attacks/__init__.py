"""Attacks: each proposes images, the template brings them inside the threat model and judges them."""

from tfrobust import checks
from tfrobust.attacks.adaptive import BPDA, EOT, AbstractAdaptation, Temperature, Transfer
from tfrobust.attacks.apgd import APGD, TargetedAPGD
from tfrobust.attacks.base import AbstractAttack, AbstractBudgetAttack, AbstractDistanceAttack
from tfrobust.attacks.carlini_wagner import CarliniWagnerL2
from tfrobust.attacks.deepfool import DeepFool
from tfrobust.attacks.discrete import DiscreteAscent
from tfrobust.attacks.fab import FAB
from tfrobust.attacks.gradient import BIM, FGSM, MIM, PGD, CarliniWagnerLinf
from tfrobust.attacks.jsma import JSMA
from tfrobust.attacks.non_examples import NonExamples, non_examples
from tfrobust.attacks.probes import ConstantOffset, UniformNoise
from tfrobust.attacks.split import Split
from tfrobust.attacks.spsa import SPSA
from tfrobust.attacks.square import Square
from tfrobust.attacks.substitute import Substitute, train_substitute
from tfrobust.attacks.victim import Victim
from tfrobust.attacks.zoo import ZOO

ATTACKS = {
    "fgsm": FGSM,
    "bim": BIM,
    "mim": MIM,
    "pgd": PGD,
    "cw_linf": CarliniWagnerLinf,
    "apgd": APGD,
    "apgd_targeted": TargetedAPGD,
    "discrete": DiscreteAscent,
    "deepfool": DeepFool,
    "cw_l2": CarliniWagnerL2,
    "fab": FAB,
    "jsma": JSMA,
    "spsa": SPSA,
    "zoo": ZOO,
    "square": Square,
    "noise": UniformNoise,
    "offset": ConstantOffset,
}

__all__ = [
    "ATTACKS",
    "APGD",
    "BIM",
    "BPDA",
    "EOT",
    "FAB",
    "FGSM",
    "JSMA",
    "MIM",
    "PGD",
    "SPSA",
    "ZOO",
    "AbstractAdaptation",
    "AbstractAttack",
    "AbstractBudgetAttack",
    "AbstractDistanceAttack",
    "CarliniWagnerL2",
    "CarliniWagnerLinf",
    "ConstantOffset",
    "DeepFool",
    "DiscreteAscent",
    "NonExamples",
    "Split",
    "Square",
    "Substitute",
    "TargetedAPGD",
    "Temperature",
    "Transfer",
    "UniformNoise",
    "Victim",
    "get",
    "non_examples",
    "train_substitute",
]


def get(name, **kwargs):
    """Build an attack from its short name.

    Args:
        name: a key of `ATTACKS`, e.g. `"pgd"`.
        **kwargs: the attack's arguments.

    Returns:
        An attack.

    Raises:
        ValueError: an unknown name (near ones are listed) or an argument outside its range.

    Example:
        >>> get("fgsm", eps=0.3).name
        'FGSM'
    """
    return ATTACKS[checks.one_of(name, "attack", ATTACKS)](**kwargs)
