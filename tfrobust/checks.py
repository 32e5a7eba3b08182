"""Argument checks: each says what must hold and what was received."""

import dataclasses
import difflib
import typing

import numpy as np


def require(condition, message, **received):
    """Raise `ValueError(message + " Received: name=value")` unless `condition` holds."""
    if not condition:
        shown = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise ValueError(f"{message} Received: {shown}")


def bits(value, name="bits"):
    """Check a bit width: an integer from 1 to 8."""
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    require(is_integer and 1 <= value <= 8, f"{name} must be an integer from 1 to 8.", **{name: value})
    return int(value)


def levels(value):
    """Check a number of quantization levels: an integer of at least 2."""
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    require(is_integer and value >= 2, "levels must be an integer of at least 2.", levels=value)
    return int(value)


def eps(value, name="eps"):
    """Check an attack budget: finite and not negative, in pixel units."""
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    require(
        is_number and np.isfinite(value) and value >= 0,
        f"{name} must be finite and at least 0, in the unit of the pixels.",
        **{name: value},
    )
    return float(value)


def count(value, name, least=1):
    """Check a number of steps, images or passes: an integer of at least `least`."""
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    require(is_integer and value >= least, f"{name} must be an integer of at least {least}.", **{name: value})
    return int(value)


def one_of(value, name, options):
    """Check that `value` is one of `options`; a miss lists the nearest names first."""
    if value not in options:
        raise ValueError(f"{name} must be one of {listing(value, options)}. Received: {name}={value!r}")
    return value


def listing(value, options):
    """Names of `options` as a string, the ones nearest to `value` first as a suggestion."""
    near = difflib.get_close_matches(str(value), [str(option) for option in options], n=3, cutoff=0.5)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return ", ".join(str(option) for option in options) + hint


def images(x, bounds, name="images"):
    """Check a batch of images `[batch, height, width, channels]`: finite and inside `bounds`; return float32."""
    try:
        x = np.asarray(x, dtype="float32")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers. Received: type={type(x).__name__}") from error
    require(x.ndim == 4, f"{name} must have shape [batch, height, width, channels].", shape=x.shape)
    require(len(x) > 0, f"{name} must hold at least one image.", shape=x.shape)
    require(bool(np.isfinite(x).all()), f"{name} must be finite.", non_finite=int((~np.isfinite(x)).sum()))
    low, high = float(x.min()), float(x.max())
    inside = low >= bounds.low - 1e-6 and high <= bounds.high + 1e-6
    require(inside, f"{name} must lie in [{bounds.low:g}, {bounds.high:g}].", min=low, max=high)
    return x


def labels(y, batch, classes):
    """Check labels `[batch]`: integers in `[0, classes)`; return int64."""
    y = np.asarray(y)
    require(y.shape == (batch,), f"labels must have shape ({batch},), one per image.", shape=y.shape)
    require(np.issubdtype(y.dtype, np.integer), "labels must be integers.", dtype=str(y.dtype))
    inside = bool(((y >= 0) & (y < classes)).all())
    require(inside, f"labels must lie in [0, {classes}).", min=int(y.min()), max=int(y.max()))
    return y.astype("int64")


def logits(values, batch):
    """Check what a model returned: finite logits `[batch, classes]`, not probabilities."""
    values = np.asarray(values)
    shaped = values.ndim == 2 and values.shape[0] == batch and values.shape[1] >= 2
    require(shaped, "a model must map images to logits of shape [batch, classes].", shape=values.shape)
    require(bool(np.isfinite(values).all()), "a model must return finite logits.", non_finite="NaN or infinity")
    sums_to_one = np.allclose(values.sum(-1), 1.0, atol=1e-3)
    looks_like_probabilities = sums_to_one and values.min() >= 0.0 and values.max() <= 1.0
    require(
        not looks_like_probabilities,
        "a model must return logits, but these rows are probabilities (they lie in [0, 1] and sum to 1): "
        "remove its final softmax.",
        first_row=values[0].tolist(),
    )
    return values


def record(kind, data):
    """Build the dataclass `kind` from plain data that has exactly its fields, each of its type (or of one of them)."""
    fields = {field.name: typing.get_args(field.type) or (field.type,) for field in dataclasses.fields(kind)}
    wrong = sorted(set(fields) ^ set(data)) or [name for name in fields if type(data[name]) not in fields[name]]
    require(not wrong, f"a record of {kind.__name__} must have exactly its typed fields.", wrong=wrong)
    return kind(**data)
