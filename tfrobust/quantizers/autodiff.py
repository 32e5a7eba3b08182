"""The one place that knows how `keras.ops.custom_gradient` differs between backends."""

from keras import ops


def with_pseudo_gradient(forward, backward):
    """Pair a forward function with its pseudo-gradient.

    Args:
        forward: `(*inputs) -> output`.
        backward: `(upstream, *inputs) -> tuple`, one gradient per input.

    Returns:
        A function `(*inputs) -> output` that differentiates by `backward` on TensorFlow and JAX.
    """

    @ops.custom_gradient
    def paired(*inputs):
        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return backward(upstream, *inputs)

        return forward(*inputs), grad

    return lambda *inputs: paired(*(_plain_tensor(value) for value in inputs))


def _plain_tensor(value):
    """`custom_gradient` rejects Variables, and `convert_to_tensor` keeps them on TensorFlow; a cast does not."""
    value = ops.convert_to_tensor(value)
    return ops.cast(value, value.dtype)
