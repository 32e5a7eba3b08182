"""Masking checks: does the gradient of this model tell an attacker the truth? Each check is data with its figure."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfrobust import attacks, losses
from tfrobust.evaluation import inspection

IMAGES, IMAGES_IF_RANDOM = 128, 32
IMAGES_OF_ONE_STEP = 1000  # of a random model: a step is cheap, and on 32 images chance moved the figure by 16 points
OK, WARNING, MASKING = "ok", "warning", "masking"
TRUSTWORTHY, SUSPICIOUS, MASKED = "trustworthy", "suspicious", "masked"
VERDICTS = {OK: TRUSTWORTHY, WARNING: SUSPICIOUS, MASKING: MASKED}
LEVELS = (OK, WARNING, MASKING)
TINY = 1e-20  # a gradient whose largest entry is below this is none


@dataclasses.dataclass(frozen=True)
class Check:
    """One sign of masking, looked for.

    Attributes:
        name: what was looked at.
        level: `ok`, `warning` or `masking`.
        figure: what was measured; a share or a difference of shares, in [-1, 1].
        sentence: what the figure is and what it means.
    """

    name: str
    level: str
    figure: float
    sentence: str

    @classmethod
    def of(cls, name, figure, warning, masking, sentence):
        """From a figure and the two thresholds that it must stay at or below."""
        level = MASKING if figure > masking else WARNING if figure > warning else OK
        return cls(name, level, round(float(figure), 4), sentence)


def verdict(checks):
    """`trustworthy`, `suspicious` (some warning) or `masked` (some check says so)."""
    return VERDICTS[max((check.level for check in checks), key=LEVELS.index, default=OK)]


class _Subject(NamedTuple):
    """A model and the images that it is examined on."""

    model: object
    victim: attacks.Victim
    x: np.ndarray
    y: np.ndarray
    shared: dict  # arguments of every attack

    def accuracy(self, attack):
        """Share of images that are right under an attack."""
        return 1 - float(attack(self.model, self.x, self.y).success.mean())

    def pgd(self, eps_share=1.0, nb_iter=40, eps_iter=None, **settings):
        """PGD at a share of the budget, steps a tenth of it: long enough to cross the ball twice."""
        eps = self.shared["eps"] * eps_share
        steps = {"eps_iter": eps / 10 if eps_iter is None else eps_iter, "nb_iter": nb_iter}
        return attacks.PGD(**self.shared | {"eps": eps}, **steps, **settings)


def examine(model, x, y, threat, sources=(), advance=lambda steps: None):
    """Run every check.

    Args:
        model: callable from images to logits.
        x, y: images and true labels; the first 128 are used (32 for a random model, the first 1,000 for one step).
        threat: a `ThreatModel` with a finite eps above 0.
        sources: models for transfer attacks.
        advance: called with 1 after each step of `N_STEPS`.

    Returns:
        List of `Check`.

    Reference:
        N. Carlini et al., "On Evaluating Adversarial Robustness", arXiv 2019; A. Athalye, N. Carlini, D. Wagner,
        "Obfuscated Gradients Give a False Sense of Security", ICML 2018.
    """
    victim = attacks.Victim(model, x[:4])
    size = IMAGES_IF_RANDOM if victim.is_random else IMAGES
    shared = {"eps": threat.eps, "norm": threat.norm, "clip_min": threat.bounds.low, "clip_max": threat.bounds.high}
    subject = _Subject(model, victim, x[:size], y[:size], shared)
    many = subject._replace(x=x[:IMAGES_OF_ONE_STEP], y=y[:IMAGES_OF_ONE_STEP])
    right = float((victim.decide(subject.x) == subject.y).mean())
    found = [_bounded_outputs(subject), _gradients(subject), _random(subject)]
    advance(1)
    one_step, by_pgd = subject.accuracy(attacks.FGSM(**shared)), subject.accuracy(subject.pgd())
    advance(1)
    found += [_one_step(one_step, by_pgd), _above_clean(subject, right), _large_budget(subject)]
    advance(1)
    found.append(_converged(subject, by_pgd))
    advance(1)
    found.append(_black_box(subject, by_pgd, sources))
    advance(1)
    found += _other_surrogates(subject, by_pgd) + _more_passes(subject, many, by_pgd) + [_cooled(subject, by_pgd)]
    advance(1)
    return found


N_STEPS = 6


def _bounded_outputs(subject):
    logits = subject.victim.logits(subject.x)
    share = float(((logits >= 0) & (logits <= 1)).all(-1).mean())
    sentence = f"Outputs lie in [0, 1] for {share:.0%} of the images: a softmax or sigmoid at the end hides gradients."
    return Check.of("outputs like probabilities", share, 0.5, 0.99, sentence)


def _gradients(subject):
    gradient = np.asarray(subject.victim.gradient(losses.cross_entropy, subject.x, subject.y))
    largest = np.abs(gradient).max(axis=(1, 2, 3))
    share = float((~(largest > TINY) | ~np.isfinite(largest)).mean())
    sentence = f"The loss has a zero or non-finite gradient at {share:.0%} of the images."
    return Check.of("zero gradients", share, 0.02, 0.2, sentence)


def _random(subject):
    figure = float(subject.victim.is_random)
    sentence = "Two passes over the same images differ." if figure else "Two passes over the same images agree."
    return Check.of("random forward", figure, 0.5, 2.0, sentence)


def _one_step(one_step, by_pgd):
    sentence = f"One step leaves {one_step:.1%} right, 40 steps leave {by_pgd:.1%}."
    return Check.of("one step beats many", by_pgd - one_step, 0.01, 0.05, sentence)


def _above_clean(subject, right):
    # Ungraded, on all images: the template would keep what was wrong already wrong.
    rng = np.random.default_rng(0)
    x_adv = subject.pgd().perturb(subject.victim, subject.x, subject.y, rng)
    attacked = float((subject.victim.decide(x_adv) == subject.y).mean())
    sentence = f"{attacked:.1%} are right under attack, {right:.1%} on clean images."
    return Check.of("robust above clean", attacked - right, 0.0, 0.05, sentence)


def _large_budget(subject):
    span = subject.shared["clip_max"] - subject.shared["clip_min"]
    size = float(np.prod(subject.x.shape[1:]))
    eps = span if subject.shared["norm"] == np.inf else span * np.sqrt(size)
    attack = subject.pgd(eps / max(subject.shared["eps"], TINY))
    left = subject.accuracy(attack)
    sentence = f"With a budget that allows any image, PGD-40 still leaves {left:.1%} right."
    return Check.of("accuracy at a budget without limit", left, 0.02, 0.2, sentence)


def _converged(subject, by_pgd):
    steps = 100 if subject.victim.is_random else 200
    longer = subject.accuracy(subject.pgd(nb_iter=steps, eps_iter=subject.shared["eps"] / 40))
    sentence = f"{steps} finer steps leave {longer:.1%} right where 40 leave {by_pgd:.1%}."
    return Check.of("loss not flat after 40 steps", by_pgd - longer, 0.03, 0.15, sentence)


def _black_box(subject, by_pgd, sources):
    tried = [attacks.Square(**subject.shared, n_queries=1000), attacks.UniformNoise(**subject.shared)]
    if subject.shared["norm"] == np.inf:
        tried.append(attacks.ConstantOffset(**subject.shared))
    tried += [attacks.Transfer(subject.pgd(), source) for source in sources]
    accuracies = [(subject.accuracy(attack), attack.name) for attack in tried]
    least, name = min(accuracies)
    sentence = f"{name}, which needs no gradient of this model, leaves {least:.1%} right; PGD-40 leaves {by_pgd:.1%}."
    return Check.of("black box beats white box", by_pgd - least, 0.03, 0.1, sentence)


def _other_surrogates(subject, by_pgd):
    """What another pseudo-derivative of a quantized model gives."""
    others = inspection.other_surrogates(subject.model)
    if not others:
        return []
    least, name = min((subject.accuracy(attacks.BPDA(subject.pgd(), name)), name) for name in others)
    sentence = f"PGD-40 by the pseudo-derivative '{name}' leaves {least:.1%} right, by the own one {by_pgd:.1%}."
    return [Check.of("own pseudo-gradient misleads", by_pgd - least, 0.03, 0.1, sentence)]


def _more_passes(subject, many, by_pgd):
    """What means of several passes of a random model give: over 40 steps, and over one step on `many` images."""
    if not subject.victim.is_random:
        return []
    fgsm = attacks.FGSM(**subject.shared)
    by_steps = subject.accuracy(attacks.EOT(subject.pgd(), 1)) - by_pgd
    by_one_step = many.accuracy(attacks.EOT(fgsm, 1)) - many.accuracy(fgsm)
    at_40, at_one = f"40 steps, {len(subject.x)} images", f"one step, {len(many.x):,} images"
    gap, where = max((by_steps, at_40), (by_one_step, at_one))
    passes = subject.victim.eot
    sentence = f"Gradients that are means of {passes} passes break {gap:.1%} more than gradients of one pass ({where})."
    return [Check.of("randomness hides the gradient", gap, 0.03, 0.1, sentence)]


def _cooled(subject, by_pgd):
    """What logits give that no longer saturate the softmax."""
    cooled = subject.accuracy(attacks.Temperature(subject.pgd()))
    sentence = f"On logits divided by their spread PGD-40 leaves {cooled:.1%} right, {by_pgd:.1%} otherwise."
    return Check.of("softmax saturates", by_pgd - cooled, 0.03, 0.1, sentence)
