"""`evaluate`: how often a model is right, clean and under attack, and whether its gradients can be trusted."""

import dataclasses
import time

import numpy as np

from tfrobust import checks, data as datasets, terminal
from tfrobust.attacks import Victim
from tfrobust.evaluation import ledger as ledgers, masking, suites
from tfrobust.evaluation.metrics import Accuracy
from tfrobust.evaluation.report import Curve, Example, Report
from tfrobust.types import Bounds, ThreatModel

COSTLY = 500  # queries per image above which an attack runs on `n_costly` images
EXAMPLES = 8  # clean and adversarial pairs that a report keeps


def evaluate(
    model,
    data,
    eps,
    *,
    suite="adaptive",
    norm=np.inf,
    n=None,
    n_costly=None,
    source=None,
    batch_size=128,
    examine=True,
    time_limit=None,
    state=None,
    show_progress=None,
):
    """Measure a model clean, under each attack of a suite, in the worst case per image, and for masked gradients.

    Formula: worst case = share of images right clean and under every attack. Intervals are Wilson's, at 95 %.

    Args:
        model: callable from images in [0, 1] to logits, or a Keras model.
        data: a data set's name (its test split is used), a `tfrobust.data.Dataset`, or `(images, labels)`.
        eps: budget in pixel units, or a list of budgets for a curve.
        suite: `"adaptive"`, `"basic"`, `"paper"`, `"standard"`, `"rand"`, or a list of attacks.
        norm: `numpy.inf` or 2.
        n: evaluate the first `n` images; None all.
        n_costly: images for attacks that may spend more than 500 queries each; None is `n`.
        source: model, or list of models, from which attacks are transferred.
        batch_size: images attacked at once.
        examine: whether to run the masking checks, which give the verdict.
        time_limit: seconds after which no further batch is started; what was not tried counts as standing.
        state: file that keeps the results so far; an evaluation that was killed goes on from it.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        A `Report`: print it, or `.to_json(path)`, `.to_html(path)`. A `Curve` of reports for a list of budgets.

    Raises:
        ValueError: data, model or budget are not as stated; a time limit that is over before it starts; a state file
            of another evaluation.

    Example:
        >>> from tfrobust import architectures
        >>> from tfrobust.attacks import FGSM
        >>> evaluate(architectures.build("mlp"), "digits", eps=0.1, suite=[FGSM(eps=0.1)], n=64, examine=False).worst.n
        64

    Reference:
        N. Carlini et al., "On Evaluating Adversarial Robustness", arXiv 2019.
    """
    if isinstance(eps, (list, tuple, np.ndarray)):
        images = {"norm": norm, "n": n, "n_costly": n_costly, "batch_size": batch_size}
        what = {"suite": suite, "source": source, "examine": examine, "show_progress": show_progress}
        return _curve(model, data, eps, state=state, time_limit=time_limit, **images, **what)
    clock = _Clock(time_limit)
    threat = ThreatModel(checks.eps(eps), norm, Bounds())
    name, x, y = datasets.unpack(data, n)
    x = checks.images(x, threat.bounds)
    victim = Victim(model, x[:4])
    y = checks.labels(y, len(x), victim.classes)
    n_costly = len(x) if n_costly is None else checks.count(n_costly, "n_costly")
    sources = [] if source is None else list(source) if isinstance(source, (list, tuple)) else [source]

    plan = suites.get(suite, threat, model, sources)
    key = ledgers.key_of(model, x, y, plan.attacks, batch_size)
    ledger = ledgers.Ledger.open(state, key, len(plan.attacks), len(x))
    right = which_right(victim, x, y, batch_size)
    clean = Accuracy.of("clean", right, seconds=clock.spent())
    run = _Run(model, x, y, right, plan, ledger, clock, batch_size, show_progress)
    sizes = [min(n_costly, len(x)) if attack.cost(victim.eot) > COSTLY else len(x) for attack in plan.attacks]
    rows = [run.attack(index, size) for index, size in enumerate(sizes)]
    found = []
    if examine and eps > 0 and not clock.is_over():
        with terminal.bar("masking checks", masking.N_STEPS, show_progress) as advance:
            found = masking.examine(model, x, y, threat, sources, advance)
    return Report(
        model=getattr(model, "name", type(model).__name__),
        data=f"{name or 'given images'} ({len(x):,} images)",
        threat=str(threat),
        eps=threat.eps,
        suite=suite if isinstance(suite, str) else "given attacks",
        is_cascade=plan.is_cascade,
        is_complete=run.is_complete and (bool(found) or not examine or eps == 0),
        is_random=victim.is_random,
        judge_passes=victim.judge_passes,
        eot=victim.eot,
        clean=clean,
        attacks=rows,
        worst=Accuracy.of("worst case", run.worst(threat, sizes)),
        checks=found,
        verdict=masking.verdict(found) if found else "not examined",
        seconds=clock.spent(),
        examples=run.examples,
    )


def _curve(model, data, budgets, *, state, time_limit, **settings):
    """One evaluation per budget, each with its own state file."""
    checks.require(len(budgets) > 0, "a curve needs at least one eps.", eps=budgets)
    clock = _Clock(time_limit)
    reports = []
    for eps in sorted(checks.eps(value) for value in budgets):
        path = None if state is None else f"{state}.eps{eps:g}"
        left = None if time_limit is None else max(time_limit - clock.spent(), 1e-3)
        reports.append(evaluate(model, data, eps, state=path, time_limit=left, **settings))
    return Curve(reports)


class _Clock:
    """Time since the start, and whether the limit is reached."""

    def __init__(self, limit):
        checks.require(limit is None or limit > 0, "time_limit must be above 0 seconds.", time_limit=limit)
        self.limit, self.started = limit, time.monotonic()

    def spent(self):
        return time.monotonic() - self.started

    def is_over(self):
        return self.limit is not None and self.spent() > self.limit


@dataclasses.dataclass
class _Run:
    """Attacks one after the other; the ledger holds what they found."""

    model: object
    x: np.ndarray
    y: np.ndarray
    right: np.ndarray  # which images are right clean
    plan: suites.Suite
    ledger: ledgers.Ledger
    clock: _Clock
    batch_size: int
    show_progress: bool | None
    is_complete: bool = True
    examples: list = dataclasses.field(default_factory=list)

    def attack(self, index, size):
        """Run one attack on the first `size` images (in a cascade: on those that stand) and sum it up."""
        attack = self.plan.attacks[index]
        rows = np.flatnonzero(self._stands(index)[:size]) if self.plan.is_cascade else np.arange(size)
        pending = rows[self.ledger.state[index, rows] == ledgers.NOT_TRIED]
        with terminal.bar(attack.name, len(rows), self.show_progress) as advance:
            advance(len(rows) - len(pending))
            for start in range(0, len(pending), self.batch_size):
                if self.clock.is_over():
                    self.is_complete = False
                    break
                part = pending[start : start + self.batch_size]
                begun = time.monotonic()
                result = attack(self.model, self.x[part], self.y[part], batch_size=len(part), first=int(part[0]))
                self.ledger.record(index, part, result, time.monotonic() - begun)
                self._keep_examples(attack, part, result)
                advance(len(part))
        return self._accuracy(index, attack, size)

    def _stands(self, index):
        """Which images are right clean and unbroken by the attacks before `index`."""
        return self.right & ~(self.ledger.state[:index] == ledgers.BROKEN).any(axis=0)

    def _accuracy(self, index, attack, size):
        tried = self.ledger.state[index, :size] != ledgers.NOT_TRIED
        held = self._stands(index + 1)[:size] if self.plan.is_cascade else self.ledger.state[index, :size][tried] == 0
        broken = (self.ledger.state[index, :size] == ledgers.BROKEN) & self.right[:size]
        return Accuracy.of(
            attack.name,
            held if len(held) else np.zeros(1, bool),
            settings=repr(attack),
            tried=int(tried.sum()),
            mean_queries=float(self.ledger.queries[index, :size][tried].mean()) if tried.any() else 0.0,
            mean_distance=float(self.ledger.distance[index, :size][broken].mean()) if broken.any() else None,
            seconds=float(self.ledger.seconds[index]),
        )

    def worst(self, threat, sizes):
        """Which images no attack within the threat model has broken, over the images that all of those were run on."""
        within = [i for i, attack in enumerate(self.plan.attacks) if _is_within(attack.threat, threat)]
        common = min((sizes[i] for i in within), default=len(self.x))
        broken = (self.ledger.state[within] == ledgers.BROKEN).any(axis=0)
        return (self.right & ~broken)[:common]

    def _keep_examples(self, attack, part, result):
        fresh = result.success & self.right[part]
        for row in np.flatnonzero(fresh)[: EXAMPLES - len(self.examples)]:
            decided = Victim(self.model, result.x_adv[row : row + 1]).decide(result.x_adv[row : row + 1])[0]
            pair = self.x[part[row]], result.x_adv[row]
            self.examples.append(Example(*pair, int(self.y[part[row]]), int(decided), attack.name))


def _is_within(threat, limit):
    """Whether what one threat model allows, the other allows too."""
    return threat.norm == limit.norm and threat.eps <= limit.eps * (1 + 1e-9)


def which_right(victim, x, y, batch_size=128):
    """Which images are classified rightly, a batch at a time."""
    starts = range(0, len(x), batch_size)
    return np.concatenate([victim.decide(x[i : i + batch_size]) == y[i : i + batch_size] for i in starts])
