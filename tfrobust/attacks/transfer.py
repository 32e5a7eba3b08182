"""Transfer: adversarial images made for another model."""

import dataclasses
from collections.abc import Callable

from tfrobust import checks
from tfrobust.attacks.base import AbstractAttack
from tfrobust.attacks.victim import Victim


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer(AbstractAttack):
    """Attack a source model and hand the images to the victim, which is never differentiated.

    Formula: `x_adv = attack(source, x, y)`, judged on the victim.

    Args:
        source: callable from images to logits, e.g. another zoo model.
        attack: attack run on the source; its threat model is this attack's too.
        clip_min, clip_max, targeted, eot, seed: taken from `attack`; `eps` and `norm` too.

    Returns:
        When called, an `AttackResult`; `queries` counts queries to the victim, so it is 0.

    Raises:
        ValueError: an argument that contradicts `attack`.

    Example:
        >>> from tfrobust import architectures
        >>> from tfrobust.attacks import FGSM
        >>> Transfer.of(architectures.build("mlp"), FGSM(eps=0.3)).name
        'Transfer(FGSM from mlp)'

    Reference:
        N. Papernot, P. McDaniel, I. Goodfellow, "Transferability in Machine Learning: from Phenomena to Black-Box
        Attacks using Adversarial Samples", arXiv 2016.
    """

    source: Callable = dataclasses.field(repr=False)
    attack: AbstractAttack

    @classmethod
    def of(cls, source, attack):
        """A transfer of `attack` from `source`, under the attack's own threat model."""
        shared = {f.name: getattr(attack, f.name) for f in dataclasses.fields(AbstractAttack)}
        return cls(source=source, attack=attack, **shared)

    def __post_init__(self):
        super().__post_init__()
        checks.require(
            self.threat == self.attack.threat and self.targeted == self.attack.targeted,
            "a transfer must keep the threat model of its attack; use Transfer.of(source, attack).",
            threat=str(self.threat),
            attack_threat=str(self.attack.threat),
        )

    @property
    def name(self):
        return f"Transfer({self.attack.name} from {getattr(self.source, 'name', 'a model')})"

    def cost(self, eot=1):
        return self.attack.cost()  # on the source; the victim's randomness costs nothing

    def propose(self, victim, x, y, rng):
        del victim
        return self.attack.perturb(Victim(self.source, x[:4], self.eot), x, y, rng)
