"""Adaptations: any attack, made to see the model in another way. They nest: `BPDA(EOT(PGD(…), 20), "identity")`."""

import abc
import dataclasses
from collections.abc import Callable

from tfrobust import checks, quantizers
from tfrobust.attacks.base import AbstractAttack
from tfrobust.attacks.victim import Victim


@dataclasses.dataclass(frozen=True)
class AbstractAdaptation(AbstractAttack):
    """An attack that proposes what another attack finds on another view of the victim.

    The threat model, targets and seed are the inner attack's; the judge sees the victim as it is.
    """

    attack: AbstractAttack

    @property
    def threat(self):
        return self.attack.threat

    @property
    def targeted(self):
        """Whether labels are to be reached, as in the inner attack."""
        return self.attack.targeted

    @property
    def eot(self):
        """Passes per step, as in the inner attack."""
        return self.attack.eot

    @property
    def seed(self):
        """The inner attack's seed."""
        return self.attack.seed

    def cost(self, eot=1):
        return self.attack.cost(eot)

    def inside(self, x_adv, x):
        return self.attack.inside(x_adv, x)

    @abc.abstractmethod
    def view(self, victim, x):
        """The victim as the inner attack shall see it; `x` are the images of the batch."""

    def propose(self, victim, x, y, rng):
        view = self.view(victim, x)
        proposed = self.attack.propose(view, x, y, rng)
        victim.queries = view.queries
        return proposed


@dataclasses.dataclass(frozen=True)
class EOT(AbstractAdaptation):
    """Expectation over transformation: gradients and logits are means over `passes` passes.

    Formula: `g = 1/k sum_i grad_x loss(f_i(x), y)`, f_i the i-th draw of a random model.

    Args:
        attack: any attack.
        passes: k, at least 1.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: `passes` below 1.

    Example:
        >>> from tfrobust.attacks import FGSM
        >>> EOT(FGSM(eps=0.3), 20).name
        'FGSM (EOT 20)'

    Reference:
        A. Athalye et al., "Synthesizing Robust Adversarial Examples", ICML 2018.
    """

    passes: int = 20

    def __post_init__(self):
        checks.count(self.passes, "passes")

    @property
    def name(self):
        return f"{self.attack.name} (EOT {self.passes})"

    @property
    def eot(self):
        return self.passes

    def cost(self, eot=1):
        del eot
        return self.attack.cost(self.passes)

    def view(self, victim, x):
        del x
        return victim.seen(eot=self.passes)


@dataclasses.dataclass(frozen=True)
class BPDA(AbstractAdaptation):
    """Backward-pass differentiable approximation: differentiate every quantizer by another pseudo-derivative.

    The model itself is untouched: only the graph that this attack differentiates is traced under `surrogate`.

    Args:
        attack: any attack.
        surrogate: `"ste"`, `"identity"` or `"soft"`, see `tfrobust.quantizers`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an unknown `surrogate`.

    Example:
        >>> from tfrobust.attacks import FGSM
        >>> BPDA(FGSM(eps=0.3), "identity").name
        'FGSM (BPDA identity)'

    Reference:
        A. Athalye, N. Carlini, D. Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018.
    """

    surrogate: str

    def __post_init__(self):
        quantizers.surrogates.check(self.surrogate)

    @property
    def name(self):
        return f"{self.attack.name} (BPDA {self.surrogate})"

    def view(self, victim, x):
        del x
        return victim.seen(surrogate=self.surrogate)


@dataclasses.dataclass(frozen=True)
class Temperature(AbstractAdaptation):
    """Divide the logits by a temperature before the loss, so that a saturated softmax has a gradient again.

    Formula: `loss(f(x) / T, y)`.

    Args:
        attack: any attack.
        temperature: T, above 0; None takes the mean spread of the logits, so that they differ by about 1.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: a temperature not above 0.

    Example:
        >>> from tfrobust.attacks import FGSM
        >>> Temperature(FGSM(eps=0.3), 100.0).name
        'FGSM (temperature 100)'

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Attacking Binarized Neural Networks", ICLR 2018.
    """

    temperature: float | None = None

    def __post_init__(self):
        valid = self.temperature is None or self.temperature > 0
        checks.require(valid, "temperature must be above 0, or None.", temperature=self.temperature)

    @property
    def name(self):
        shown = "own" if self.temperature is None else f"{self.temperature:g}"
        return f"{self.attack.name} (temperature {shown})"

    def view(self, victim, x):
        temperature = self.temperature
        if temperature is None:
            temperature = max(float(victim.logits(x).std(-1).mean()), 1e-6)
        return victim.seen(temperature=temperature)


@dataclasses.dataclass(frozen=True)
class Transfer(AbstractAdaptation):
    """Attack a source model and hand the images to the victim, which is never differentiated.

    Formula: `x_adv = attack(source, x, y)`, judged on the victim.

    Args:
        attack: attack run on the source; its threat model is this attack's too.
        source: callable from images to logits, e.g. another zoo model.

    Returns:
        When called, an `AttackResult`; `queries` counts queries to the victim, so it is 0.

    Example:
        >>> from tfrobust import architectures
        >>> from tfrobust.attacks import FGSM
        >>> Transfer(FGSM(eps=0.3), architectures.build("mlp")).name
        'Transfer(FGSM from mlp)'

    Reference:
        N. Papernot, P. McDaniel, I. Goodfellow, "Transferability in Machine Learning: from Phenomena to Black-Box
        Attacks using Adversarial Samples", arXiv 2016.
    """

    source: Callable = dataclasses.field(repr=False)

    @property
    def name(self):
        return f"Transfer({self.attack.name} from {getattr(self.source, 'name', 'a model')})"

    def cost(self, eot=1):
        return self.attack.cost()  # on the source; the victim's randomness costs nothing

    def view(self, victim, x):
        del victim
        return Victim(self.source, x[:4], self.attack.eot)

    def propose(self, victim, x, y, rng):
        return self.attack.propose(self.view(victim, x), x, y, rng)
