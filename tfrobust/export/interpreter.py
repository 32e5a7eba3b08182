"""A TFLite file as a callable, run by the stock interpreter."""

import pathlib

import numpy as np

from tfrobust import checks
from tfrobust.export.quiet import quiet


class TFLiteModel:
    """Maps images in [0, 1] to logits by running a `.tflite` file, one image at a time.

    Integer inputs and outputs are converted with the file's own scale and zero point, so that the object can stand
    wherever a model is a callable: `evaluate`, `Square`, `UniformNoise`.

    Args:
        path: the file.

    Raises:
        ValueError: the file is missing, is not a TFLite file, or needs operations that the stock interpreter lacks.

    Attributes:
        ops: sorted names of the operations in the file.
        size: bytes of the file.
    """

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        content = _read(path)
        self.name = pathlib.Path(path).name
        self.size = len(content)
        self.ops = operations(content)
        try:
            with quiet():
                self._interpreter = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"the stock interpreter must be able to run the file; its operations are {', '.join(self.ops)}. "
                f"Received: path={str(path)!r} ({error})"
            ) from error
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()

    def __call__(self, x):
        """Logits `[batch, classes]`, float32, of images `[batch, height, width, channels]` in [0, 1]."""
        x = np.asarray(x, "float32")
        expected = tuple(int(size) for size in self._input["shape"][1:])
        checks.require(
            x.shape[1:] == expected, f"images must have the file's input shape {expected}.", shape=x.shape[1:]
        )
        return np.stack([self._run(image[None]) for image in x])

    def _run(self, image):
        self._interpreter.set_tensor(self._input["index"], _to_integers(image, self._input))
        self._interpreter.invoke()
        return _to_floats(self._interpreter.get_tensor(self._output["index"]), self._output)[0]


def _read(path):
    """Bytes of a TFLite file, told apart from other files by its identifier."""
    checks.require(pathlib.Path(path).is_file(), "the file must exist.", path=str(path))
    content = pathlib.Path(path).read_bytes()
    checks.require(content[4:8] == b"TFL3", "the file must be a TFLite flatbuffer.", path=str(path))
    return content


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


def operations(content):
    """Sorted names of the operations in a TFLite flatbuffer; a custom one (Flex) shows its own name."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    # Old files hold the code in a byte, new ones in an integer; the larger of the two is the code.
    builtin = [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
    custom = [code.CustomCode() for code in codes]
    return sorted({extra.decode() if extra else name for name, extra in zip(builtin, custom, strict=True)})
