"""Auto-PGD: projected gradient steps with momentum, whose size adapts, with restarts; untargeted and targeted."""

import dataclasses

import numpy as np

from tfrobust import checks, losses, norms
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.gradient import random_start
from tfrobust.attacks.gradients import steepest_step

MOMENTUM = 0.75
ENOUGH = 0.75  # share of steps in a period that must raise the loss, or else the step is halved
FIRST_PERIOD, SHORTER, SHORTEST = 0.22, 0.03, 0.06  # lengths of the periods, in shares of the budget

LOSSES = {"ce": losses.cross_entropy, "dlr": losses.dlr, "margin": losses.negative_margin(np.inf)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class APGD(AbstractBudgetAttack):
    """Auto-PGD: the step starts at 2 eps and halves when progress stalls, going back to the best point so far.

    Formula: `z = P(x_t + s g_t)`, `x_{t+1} = P(x_t + 0.75 (z - x_t) + 0.25 (x_t - x_{t-1}))`, g_t the steepest
    direction of the loss, P the projection. An image leaves the search once it is adversarial, unless the model is
    random.

    Args:
        nb_iter: steps per restart.
        n_restarts: random starts.
        loss: `"ce"` (cross-entropy), `"dlr"` (difference of logits ratio, at least 3 classes) or `"margin"`.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range; fewer than 3 classes for `"dlr"`.

    Example:
        >>> APGD(eps=0.3, loss="dlr").name
        'APGD-DLR-100'

    Reference:
        F. Croce, M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
        Attacks", ICML 2020.
    """

    nb_iter: int = 100
    n_restarts: int = 1
    loss: str = "ce"

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.nb_iter, "nb_iter")
        checks.count(self.n_restarts, "n_restarts")
        checks.one_of(self.loss, "loss", LOSSES)

    @property
    def name(self):
        restarts = f"x{self.n_restarts}" if self.n_restarts > 1 else ""
        return f"APGD-{self.loss.upper()}-{self.nb_iter}{restarts}"

    def cost(self, eot=1):
        return self.nb_iter * self.n_restarts * eot

    def propose(self, victim, x, y, rng):
        sign = -1.0 if self.targeted else 1.0
        search = _Search(victim, self, LOSSES[self.loss], sign, len(x))
        best = np.array(x)
        left = np.arange(len(x))
        for _ in range(self.n_restarts):
            best[left], done = search.run(x[left], y[left], y[left], left, rng)
            left = left[~done] if not victim.is_random else left
            if len(left) == 0:
                break
        victim.queries = search.queries
        return best


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetedAPGD(AbstractBudgetAttack):
    """Auto-PGD towards each of the likeliest other classes in turn; counts as success if the label is left.

    Formula: for t among the `n_targets` likeliest classes other than y: `APGD` on the targeted DLR loss
    `-(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2)`.

    Args:
        nb_iter: steps per target and restart.
        n_restarts: random starts per target.
        n_targets: classes tried, at most all others.
        eps, norm, clip_min, clip_max, eot, seed: see `AbstractBudgetAttack`; `targeted` must stay False.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range, or fewer than 3 classes.

    Example:
        >>> TargetedAPGD(eps=0.3, n_targets=3).name
        'APGD-T3-100'

    Reference:
        F. Croce, M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
        Attacks", ICML 2020.
    """

    nb_iter: int = 100
    n_restarts: int = 1
    n_targets: int = 9

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.nb_iter, "nb_iter")
        checks.count(self.n_restarts, "n_restarts")
        checks.count(self.n_targets, "n_targets")
        message = "TargetedAPGD chooses its own targets: targeted must be False; use APGD(targeted=True)."
        checks.require(not self.targeted, message, targeted=self.targeted)

    @property
    def name(self):
        return f"APGD-T{self.n_targets}-{self.nb_iter}"

    def cost(self, eot=1):
        return self.nb_iter * self.n_restarts * self.n_targets * eot

    def propose(self, victim, x, y, rng):
        search = _Search(victim, self, losses.targeted_dlr, 1.0, len(x))
        logits = victim.logits(x)
        logits[np.arange(len(x)), y] = -np.inf
        targets = np.argsort(-logits, axis=-1)
        best = np.array(x)
        left = np.arange(len(x))
        for index in range(min(self.n_targets, victim.classes - 1) * self.n_restarts):
            pair = np.stack([y, targets[:, index // self.n_restarts]], axis=1)
            found, done = search.run(x[left], y[left], pair[left], left, rng)
            # A random model's images stay in: the last ones that fooled an averaged pass are kept.
            keep = done | (best[left] == x[left]).all(axis=(1, 2, 3))
            best[left[keep]] = found[keep]
            left = left[~done] if not victim.is_random else left
            if len(left) == 0:
                break
        victim.queries = search.queries
        return best


def checkpoints(nb_iter):
    """Steps after which the step size is looked at again: periods that shrink from 22 % to 6 % of the budget."""
    shares = [0.0, FIRST_PERIOD]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - SHORTER, SHORTEST))
    return [int(np.ceil(share * nb_iter - 1e-9)) for share in shares[1:]]  # 57 % of 100 steps are 57


@dataclasses.dataclass
class _State:
    """One restart, image by image: where it is, where it was, and the best so far."""

    x: np.ndarray  # the clean image
    y: np.ndarray  # what the model must be driven from (to, if targeted)
    labels: np.ndarray  # what the loss is told
    at: np.ndarray
    before: np.ndarray
    gradient: np.ndarray
    best: np.ndarray
    best_gradient: np.ndarray
    value: np.ndarray  # loss at `at`
    best_value: np.ndarray
    step: np.ndarray
    rises: np.ndarray  # steps of this period that raised the loss
    was_halved: np.ndarray
    value_then: np.ndarray  # best loss at the last checkpoint
    index: np.ndarray  # position in the batch

    def only(self, keep):
        """The same for some images."""
        return _State(*(getattr(self, field.name)[keep] for field in dataclasses.fields(self)))


class _Search:
    """Runs restarts of APGD for one batch."""

    def __init__(self, victim, attack, loss, sign, batch):
        self.queries = np.zeros(batch, "int64")
        self.victim, self.attack, self.loss, self.sign = victim, attack, loss, sign
        self.norm = norms.get(attack.norm)

    def run(self, x, y, labels, rows, rng):
        """One restart on some `rows` of the batch; returns the images found and which of them are adversarial."""
        found, done = np.array(x), np.zeros(len(x), bool)
        start = np.clip(random_start(self.attack, x, rng), *self.attack.threat.bounds)
        value, logits, gradient = self._look(start, labels)
        state = _State(
            x, y, labels, start, start, gradient, start, gradient, value, value,
            step=np.full(len(x), 2 * self.attack.eps, "float32"),
            rises=np.zeros(len(x), int), was_halved=np.zeros(len(x), bool), value_then=value, index=np.arange(len(x)),
        )  # fmt: skip
        self.queries[rows] += self.victim.eot
        state = self._retire(state, logits, found, done)
        ends = checkpoints(self.attack.nb_iter)
        begun = 0
        for t in range(1, self.attack.nb_iter):
            if len(state.x) == 0:
                return found, done
            self.queries[rows[state.index]] += self.victim.eot
            state, logits = self._advance(state, t)
            state = self._retire(state, logits, found, done)
            if t in ends:
                state = self._halve(state, t - begun)
                begun = t
        found[state.index] = state.best
        return found, done

    def _look(self, x, labels):
        value, logits, gradient = self.victim.loss_and_gradient(self.loss, x, labels)
        return self.sign * value, logits, self.sign * gradient

    def _project(self, x_adv, x):
        delta = np.asarray(self.norm.project(x_adv - x, self.attack.eps))
        return np.clip(x + delta, *self.attack.threat.bounds)

    def _advance(self, state, t):
        """One step with momentum from every image, and the loss there."""
        step = state.step[:, None, None, None]
        share = 1.0 if t == 1 else MOMENTUM
        direction = np.asarray(steepest_step(state.gradient, 1.0, self.attack.norm))
        ahead = self._project(state.at + step * direction, state.x)
        new = state.at + share * (ahead - state.at) + (1 - share) * (state.at - state.before)
        new = self._project(new, state.x)
        value, logits, gradient = self._look(new, state.labels)
        better = value > state.best_value
        rows = better[:, None, None, None]
        moved = dataclasses.replace(
            state,
            at=new,
            before=state.at,
            gradient=gradient,
            value=value,
            rises=state.rises + (value > state.value),
            best=np.where(rows, new, state.best),
            best_gradient=np.where(rows, gradient, state.best_gradient),
            best_value=np.where(better, value, state.best_value),
        )
        return moved, logits

    def _halve(self, state, period):
        """At the end of a period: halve the step, and return to the best point, where progress has stalled."""
        few_rises = state.rises < ENOUGH * period
        no_progress = ~state.was_halved & (state.best_value <= state.value_then)
        halve = few_rises | no_progress
        rows = halve[:, None, None, None]
        return dataclasses.replace(
            state,
            step=np.where(halve, state.step / 2, state.step),
            at=np.where(rows, state.best, state.at),
            before=np.where(rows, state.best, state.before),
            gradient=np.where(rows, state.best_gradient, state.gradient),
            value=np.where(halve, state.best_value, state.value),
            rises=np.zeros_like(state.rises),
            was_halved=halve,
            value_then=state.best_value,
        )

    def _retire(self, state, logits, found, done):
        """Keep images that are adversarial now, and go on with the others; with all of them if the model is random."""
        decided = logits.argmax(-1)
        over = decided == state.y if self.attack.targeted else decided != state.y
        found[state.index[over]] = state.at[over]
        done[state.index[over]] = True
        return state if self.victim.is_random or not over.any() else state.only(~over)
