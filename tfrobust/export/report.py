"""What running an exported file showed, as a record and as a table."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class DeviceReport:
    """What the file costs here, and how it stands a search of its own.

    Attributes:
        zoo: share of `zoo_n` images that are right and for which ZOO, run on the file itself, found no adversarial
            image at any distance.
        zoo_n, zoo_queries: images tried, and most queries spent on one.
        zoo_distance: median L2 distance of the adversarial images found; None if none was.
        milliseconds, float_milliseconds: number of threads -> median latency of one image, of the file and of the
            float32 file of the same model, in turns.
        memory: bytes that loading and running the file add to the peak memory of a fresh process; None where
            the system (other than Linux) does not count that.
    """

    zoo: float
    zoo_n: int
    zoo_queries: int
    zoo_distance: float | None
    milliseconds: dict
    float_milliseconds: dict
    memory: int | None

    def rows(self):
        """`(what, value)` pairs as text."""
        distance = "" if self.zoo_distance is None else f", median L2 distance {self.zoo_distance:.2f}"
        pairs = zip(self.milliseconds.items(), self.float_milliseconds.values(), strict=True)
        times = [
            (f"one image, {threads} thread{'s'[: threads - 1]}, file / float32", f"{ours:.3f} ms / {theirs:.3f} ms")
            for (threads, ours), theirs in pairs
        ]
        memory = [] if self.memory is None else [("peak memory added", f"{self.memory / 1024:,.0f} KiB")]
        name = f"ZOO of {self.zoo_queries} queries run on the file ({self.zoo_n} images)"
        return [(name, f"{self.zoo:.2%}{distance}"), *times, *memory]


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What running the exported file showed.

    Attributes:
        path, quantize, bytes: the file, how it was quantized (None if it does not say), its size.
        bytes_per_weight: size of the whole file over the number of the model's weights.
        ops: names of its operations, all builtin.
        n: number of clean images compared.
        is_random: whether two runs of the file differ.
        passes: passes whose logits are averaged before comparing (1 unless random).
        step: the quantization step that logits are held against: the file's own, or a 255th of the range of the
            Keras model's logits (what one byte resolves) where that is larger.
        within_step: share of logits that differ from the Keras model's by at most one step.
        max_logit_difference: largest absolute difference of a logit between file and Keras model.
        label_agreement: share of images with the same predicted class.
        clean, clean_keras: accuracy of the file and of the Keras model.
        attacked, attacked_keras: their accuracies on the PGD images made for the Keras model.
        square: accuracy of the file on `square_n` images under a Square search of `square_queries` run on the file.
        threat: the threat model, as text.
        device: a `DeviceReport`; None unless asked for.
    """

    path: str
    quantize: str | None
    bytes: int
    bytes_per_weight: float
    ops: list[str]
    n: int
    is_random: bool
    passes: int
    step: float
    within_step: float
    max_logit_difference: float
    label_agreement: float
    clean: float
    clean_keras: float
    attacked: float
    attacked_keras: float
    square: float
    square_n: int
    square_queries: int
    threat: str
    device: DeviceReport | None = None

    def to_dict(self):
        """Plain data."""
        return dataclasses.asdict(self)

    def rows(self):
        """`(what, value)` pairs as text, for a table."""
        size = f"{self.bytes / 1024:.0f} KiB, {self.bytes_per_weight:.2f} bytes per weight"
        parity = f"{self.within_step:.2%} within {self.step:.3g}, largest difference {self.max_logit_difference:.4g}"
        return [
            ("file", f"{self.path} ({self.quantize or 'float32'}, {size})"),
            ("operations", ", ".join(self.ops)),
            ("randomness", f"kept; {self.passes} passes averaged" if self.is_random else "none"),
            ("logits within one quantization step of Keras", parity),
            (f"same label as Keras ({self.n} images)", f"{self.label_agreement:.2%}"),
            ("clean accuracy, file / Keras", f"{self.clean:.2%} / {self.clean_keras:.2%}"),
            (f"PGD-40 images, {self.threat}, file / Keras", f"{self.attacked:.2%} / {self.attacked_keras:.2%}"),
            (f"Square-{self.square_queries} run on the file ({self.square_n} images)", f"{self.square:.2%}"),
            *(self.device.rows() if self.device else ()),
        ]

    def __str__(self):
        return "\n".join(f"{what}: {value}" for what, value in self.rows())
