"""Attacks: each proposes images, the template brings them inside the threat model and judges them."""

from tfrobust import checks
from tfrobust.attacks.adaptive import BPDA, EOT, Temperature, Transfer
from tfrobust.attacks.base import AbstractAttack, AbstractBudgetAttack, AbstractDistanceAttack
from tfrobust.attacks.gradient import FGSM, PGD
from tfrobust.attacks.probes import ConstantOffset, UniformNoise
from tfrobust.attacks.square import Square
from tfrobust.attacks.victim import Victim

ATTACKS = {
    "fgsm": FGSM,
    "pgd": PGD,
    "square": Square,
    "noise": UniformNoise,
    "offset": ConstantOffset,
}

__all__ = [
    "ATTACKS",
    "BPDA",
    "EOT",
    "FGSM",
    "PGD",
    "AbstractAttack",
    "AbstractBudgetAttack",
    "AbstractDistanceAttack",
    "ConstantOffset",
    "Square",
    "Temperature",
    "Transfer",
    "UniformNoise",
    "Victim",
    "get",
]


def get(name, **kwargs):
    """Build an attack from its short name.

    Args:
        name: `"fgsm"`, `"pgd"`, `"square"`, `"noise"` or `"offset"`.
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
