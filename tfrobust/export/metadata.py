"""What a file says of itself: one JSON record in a metadata buffer, which interpreters pass over."""

import json

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfrobust import checks
from tfrobust.export import flatbuffer
from tfrobust.export.interpreter import read_bytes

NAME = "tfrobust"


def with_metadata(content, record):
    """Bytes of the file with a record of plain data inside."""
    file = flatbuffer.read(content, NAME)
    text = json.dumps(record, separators=(",", ":")).encode()
    file.buffers.append(schema.BufferT(np.frombuffer(text, "uint8")))
    file.metadata = [*(file.metadata or ()), schema.MetadataT(NAME, len(file.buffers) - 1)]
    return flatbuffer.write(file)


def metadata(path):
    """Read what an exported file says of itself.

    Args:
        path: a file that `to_tflite` wrote.

    Returns:
        A dict: `model`, `quantize`, `input` (`shape`, `range`), `labels`, `threat_model`, `card`; None for what was
        not known.

    Raises:
        ValueError: the file is missing, is not a whole TFLite file, or holds no such record.

    Example:
        >>> import os, tempfile
        >>> from tfrobust import architectures
        >>> from tfrobust.export import to_tflite
        >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
        >>> report = to_tflite(architectures.build("mlp"), path, data="digits", n=5)
        >>> metadata(path)["input"]
        {'shape': [28, 28, 1], 'range': [0.0, 1.0]}

    Reference:
        M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
    """
    record = of_file(flatbuffer.read(read_bytes(path), path))
    checks.require(record is not None, "the file must hold tfrobust's metadata.", path=str(path))
    return record


def of_file(file):
    """The record in a `schema.ModelT`; None if there is none."""
    buffers = [entry.buffer for entry in file.metadata or () if entry.name == NAME.encode()]
    return json.loads(bytes(file.buffers[buffers[0]].data)) if buffers else None
