"""Latency and memory of TFLite files, measured on this machine."""

import dataclasses
import subprocess
import sys
import time

import numpy as np

from tfrobust import checks
from tfrobust.export.interpreter import TFLiteModel

THREADS = (1, 2)
RUNS = 100
WARM_UP = 5  # runs before the first that counts

# In a process of its own, so that nothing loaded before hides what the file needs.
FOOTPRINT = r"""
import re, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

def peak():
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read()).group(1))

before = peak()
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
(images,) = interpreter.get_input_details()
interpreter.set_tensor(images["index"], np.zeros(images["shape"], images["dtype"]))
for _ in range(3):
    interpreter.invoke()
print(peak() - before)
"""


@dataclasses.dataclass(frozen=True)
class Speed:
    """What one file costs.

    Attributes:
        path, bytes: the file and its size.
        runs: number of runs that each latency is the median of.
        milliseconds: number of threads -> median time of one image.
        memory: bytes that loading and running the file add to the peak memory of a fresh process; None where the
            system (other than Linux) has no such count.
    """

    path: str
    bytes: int
    runs: int
    milliseconds: dict
    memory: int | None

    def to_dict(self):
        """Plain data."""
        return dataclasses.asdict(self)


def benchmark(*paths, runs=RUNS):
    """Measure TFLite files beside each other: they take turns, so that what else the machine does hits all alike.

    Args:
        *paths: the files.
        runs: number of runs per file and number of threads.

    Returns:
        A list of `Speed`, one per file.

    Raises:
        ValueError: `runs` below 1, or a file that is missing, not a TFLite file, or that cannot be run.

    Example:
        >>> import os, tempfile
        >>> from tfrobust import architectures
        >>> from tfrobust.export import to_tflite
        >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
        >>> report = to_tflite(architectures.build("mlp"), path, data="digits", n=5)
        >>> (speed,) = benchmark(path, runs=10)
        >>> list(speed.milliseconds)
        [1, 2]

    Reference:
        V. J. Reddi et al., "MLPerf Inference Benchmark", ISCA 2020, for the latency of a single stream.
    """
    checks.count(runs, "runs")
    checks.require(paths, "benchmark needs at least one file.", paths=paths)
    models = {(path, threads): TFLiteModel(path, threads) for path in paths for threads in THREADS}
    taken = {key: [] for key in models}
    for model in models.values():
        model.prepare(np.random.default_rng(0).random(model.input_shape, "float32"))
    for run in range(WARM_UP + runs):
        for key, model in models.items():
            start = time.perf_counter()
            model.invoke()
            if run >= WARM_UP:
                taken[key].append(time.perf_counter() - start)
    medians = {key: 1000 * float(np.median(times)) for key, times in taken.items()}
    return [
        Speed(
            path=str(path),
            bytes=models[path, THREADS[0]].size,
            runs=runs,
            milliseconds={threads: medians[path, threads] for threads in THREADS},
            memory=_footprint(path),
        )
        for path in paths
    ]


def _footprint(path):
    """Bytes by which a fresh process grows, at its peak, when it loads and runs the file."""
    if sys.platform != "linux":
        return None
    command = [sys.executable, "-c", FOOTPRINT, str(path)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
