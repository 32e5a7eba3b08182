"""Several attacks on one batch, each on its share: what training against more than one attack needs."""

import dataclasses

import numpy as np

from tfrobust import checks
from tfrobust.attacks.base import AbstractAttack


@dataclasses.dataclass(frozen=True)
class Split(AbstractAttack):
    """Attacks share a batch: of k attacks the j-th gets images j, j + k, j + 2k, ….

    Args:
        attacks: at least one attack; all of one threat model, all targeted or none.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: no attack, or attacks of different threat models.

    Example:
        >>> from tfrobust.attacks import FGSM, Square
        >>> Split((FGSM(eps=0.3), Square(eps=0.3, n_queries=100))).name
        'Split(FGSM, Square-100)'

    Reference:
        F. Tramer, D. Boneh, "Adversarial Training and Robustness for Multiple Perturbations", NeurIPS 2019.
    """

    attacks: tuple

    def __post_init__(self):
        object.__setattr__(self, "attacks", tuple(self.attacks))
        checks.require(len(self.attacks) > 0, "a split needs at least one attack.", attacks=self.attacks)
        kinds = {(str(attack.threat), attack.targeted) for attack in self.attacks}
        message = "the attacks of a split must have one threat model and all be targeted or none."
        checks.require(len(kinds) == 1, message, attacks=[f"{each.name} {each.threat}" for each in self.attacks])

    @property
    def threat(self):
        return self.attacks[0].threat

    @property
    def name(self):
        return f"Split({', '.join(attack.name for attack in self.attacks)})"

    @property
    def targeted(self):
        """Whether labels are to be reached, as in the attacks."""
        return self.attacks[0].targeted

    @property
    def eot(self):
        """Passes per step, as in the first attack."""
        return self.attacks[0].eot

    @property
    def seed(self):
        """The first attack's seed."""
        return self.attacks[0].seed

    def cost(self, eot=1):
        return max(attack.cost(eot) for attack in self.attacks)

    def inside(self, x_adv, x):
        return self.attacks[0].inside(x_adv, x)

    def propose(self, victim, x, y, rng):
        proposed, queries = np.array(x), np.zeros(len(x), "int64")
        for first, attack in enumerate(self.attacks[: len(x)]):
            share = slice(first, None, len(self.attacks))
            victim.queries = 0
            proposed[share] = attack.propose(victim, x[share], y[share], rng)
            queries[share] = victim.queries
        victim.queries = queries
        return proposed
