"""Learning-rate schedules, by name: `(peak, steps) -> keras schedule`."""

import keras

from tfrobust import checks

WARMUP_SHARE = 0.15


def constant(peak, steps):
    """The peak rate all along."""
    return keras.optimizers.schedules.PiecewiseConstantDecay([max(steps, 1)], [peak, peak])


def cosine(peak, steps):
    """Half a cosine from the peak to 0."""
    return keras.optimizers.schedules.CosineDecay(peak, max(steps, 1))


def one_cycle(peak, steps):
    """Linear warm-up over the first 15 % of steps, then half a cosine to 0."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    return keras.optimizers.schedules.CosineDecay(
        peak / 100, max(steps - warmup, 1), warmup_target=peak, warmup_steps=warmup
    )


def step(peak, steps):
    """A tenth of the rate after each 30 % of steps (SQA: every 30 of 100 epochs)."""
    edges = [round(share * steps) for share in (0.3, 0.6, 0.9)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(edges, [peak * 0.1**k for k in range(4)])


def two_steps(peak, steps):
    """A tenth of the rate after each 3/7 of steps (SQA on CIFAR-10: every 150 of 350 epochs)."""
    edges = [round(share * steps) for share in (3 / 7, 6 / 7)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(edges, [peak * 0.1**k for k in range(3)])


def halved(peak, steps):
    """The peak rate, half of it for the last fifth (Deep Defense's fine-tuning)."""
    return keras.optimizers.schedules.PiecewiseConstantDecay([round(0.8 * steps)], [peak, peak / 2])


SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "step": step,
    "two_steps": two_steps,
    "halved": halved,
}


def get(name, peak, steps):
    """Build the schedule `name`.

    Raises:
        ValueError: an unknown name, or a rate not above 0.
    """
    checks.require(peak > 0, "learning_rate must be above 0.", learning_rate=peak)
    return SCHEDULES[checks.one_of(name, "schedule", SCHEDULES)](peak, steps)
