"""A TFLite file as a callable, run by the stock interpreter."""

import pathlib

import numpy as np

from tfrobust import checks
from tfrobust.export import flatbuffer
from tfrobust.export.quiet import quiet


class TFLiteModel:
    """Maps images in [0, 1] to logits by running a `.tflite` file, one image at a time.

    Integer inputs and outputs are converted with the file's own scale and zero point, so that the object can stand
    wherever a model is a callable: `evaluate`, `Square`, `UniformNoise`.

    Args:
        path: the file.
        threads: threads that the interpreter may use.

    Raises:
        ValueError: the file is missing, is not a TFLite file or only part of one, needs operations that the stock
            interpreter lacks, or maps anything but images to logits.

    Attributes:
        ops: sorted names of the operations in the file.
        size: bytes of the file.
        input_shape: `(height, width, channels)`.
        classes: number of logits.
        dtype: numpy type of input and output: float32, int8 or int16.
        step: quantization step of an integer output, in logits; 0 of a float one.
    """

    def __init__(self, path, threads=1):
        from ai_edge_litert.interpreter import Interpreter

        content, threads = read_bytes(path), checks.count(threads, "threads")
        self.name = pathlib.Path(path).name
        self.size = len(content)
        self.ops = flatbuffer.operations(content, path)
        try:
            with quiet():
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"the stock interpreter must be able to run the file; its operations are {', '.join(self.ops)}. "
                f"Received: path={str(path)!r} ({error})"
            ) from error
        self._input, self._output = _ends(self._interpreter, path)
        self.input_shape = tuple(int(size) for size in self._input["shape"][1:])
        self.classes, self.dtype = int(self._output["shape"][1]), self._output["dtype"]
        self.step = 0.0 if self.dtype == np.float32 else float(self._output["quantization"][0])

    def __call__(self, x):
        """Logits `[batch, classes]`, float32, of float images `[batch, height, width, channels]` in [0, 1].

        Raises:
            ValueError: images of another shape, or of integers.
        """
        x = np.asarray(x)
        expected = self.input_shape
        checks.require(
            x.shape[1:] == expected, f"images must have the file's input shape {expected}.", shape=x.shape[1:]
        )
        checks.require(np.issubdtype(x.dtype, np.floating), "images must be floats in [0, 1].", dtype=str(x.dtype))
        logits = [self._run(image) for image in x.astype("float32")]
        return np.reshape(np.array(logits, "float32"), (-1, self.classes))

    def prepare(self, image):
        """Put one image `[height, width, channels]` in; `invoke` then runs on it."""
        self._interpreter.set_tensor(self._input["index"], _to_integers(image[None], self._input))

    def invoke(self):
        """Run on the image put in, and nothing else: what a latency is the time of."""
        self._interpreter.invoke()

    def _run(self, image):
        self.prepare(image)
        self.invoke()
        return _to_floats(self._interpreter.get_tensor(self._output["index"]), self._output)[0]


def read_bytes(path):
    """Bytes of a file that exists."""
    checks.require(pathlib.Path(path).is_file(), "the file must exist.", path=str(path))
    return pathlib.Path(path).read_bytes()


def _ends(interpreter, path):
    """Details of the one input and the one output of a file that maps an image to logits."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    shapes = [[details["shape"].tolist() for details in end] for end in (inputs, outputs)]
    ranks = [[len(shape) for shape in end] for end in shapes]
    types = {details["dtype"] for details in (*inputs, *outputs)}
    fits = ranks == [[4], [2]] and len(types) == 1 and types <= {np.float32, np.int8, np.int16}
    checks.require(
        fits,
        "the file must map one image [1, height, width, channels] to logits [1, classes], both of float32, int8 or "
        "int16.",
        path=str(path),
        inputs=shapes[0],
        outputs=shapes[1],
        types=sorted(np.dtype(kind).name for kind in types),
    )
    return inputs[0], outputs[0]


def _to_integers(values, tensor):
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / scale + zero_point), limits.min, limits.max).astype(tensor["dtype"])


def _to_floats(values, tensor):
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    return (values.astype("float32") - zero_point) * np.float32(scale)
