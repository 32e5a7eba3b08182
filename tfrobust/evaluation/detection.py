"""Telling adversarial images from clean ones by one figure per image, such as the Monte-Carlo uncertainty."""

import abc
import dataclasses

import numpy as np

from tfrobust import checks

TINY = 1e-12  # smallest scale of a density: the values of a model that draws nothing are all 0


@dataclasses.dataclass(frozen=True)
class Detection:
    """How well a detector tells adversarial images from clean ones.

    Attributes:
        accuracy: share of all images told rightly, adversarial where the probability is above 1/2.
        auc: area under the ROC curve: 1/2 is guessing, 1 tells all.
        false_alarms: share of clean images taken for adversarial, at each threshold, rising.
        found: share of adversarial images taken for such, at the same thresholds.
        thresholds: probabilities, falling.
    """

    accuracy: float
    auc: float
    false_alarms: np.ndarray
    found: np.ndarray
    thresholds: np.ndarray


@dataclasses.dataclass(frozen=True)
class AbstractDetector(abc.ABC):
    """Gives each image a probability of being adversarial, from one figure per image."""

    @classmethod
    @abc.abstractmethod
    def fit(cls, clean, adversarial):
        """The detector for figures of clean images `[n]` and of adversarial ones `[m]`, each at least 0."""

    @abc.abstractmethod
    def probability(self, values):
        """Probability of being adversarial, `[n]`, for the figures `values` `[n]`."""

    def score(self, clean, adversarial):
        """How well the detector does on other images than those it was fitted on.

        Args:
            clean: figures of clean images, `[n]`, each at least 0.
            adversarial: figures of adversarial images, `[m]`, each at least 0.

        Returns:
            `Detection`.

        Raises:
            ValueError: a negative, non-finite or missing figure.
        """
        from sklearn import metrics

        values, truth = _pooled(clean, adversarial)
        told = self.probability(values)
        false_alarms, found, thresholds = metrics.roc_curve(truth, told)
        accuracy = float(((told > 0.5) == truth).mean())
        return Detection(accuracy, float(metrics.roc_auc_score(truth, told)), false_alarms, found, thresholds)


@dataclasses.dataclass(frozen=True)
class LogisticDetector(AbstractDetector):
    """Logistic regression on one figure.

    Formula: `1 / (1 + exp(-(slope u + intercept)))`. Our reading: u is standardised before the fit, as its size, some
    thousandths, would otherwise let the regression's penalty (L2, scikit-learn's default) decide.

    Args:
        slope: per unit of the figure.
        intercept: log odds at 0.

    Example:
        >>> detector = LogisticDetector.fit(clean=[0.001, 0.002, 0.003], adversarial=[0.011, 0.012, 0.013])
        >>> detector.score(clean=[0.004], adversarial=[0.010]).accuracy
        1.0

    Reference:
        Y. Guan, "Adversarial Example Defense and Detection using Quantized Neural Networks with Inference Time
        Dropout", University of Toronto, ECE1784 report, section 4.2.
    """

    slope: float
    intercept: float

    @classmethod
    def fit(cls, clean, adversarial):
        from sklearn.linear_model import LogisticRegression

        values, truth = _pooled(clean, adversarial)
        middle, size = values.mean(), max(values.std(), TINY)
        fitted = LogisticRegression().fit(((values - middle) / size)[:, None], truth)
        slope = float(fitted.coef_[0, 0]) / size
        return cls(slope, float(fitted.intercept_[0]) - slope * middle)

    def probability(self, values):
        return _sigmoid(self.slope * np.asarray(values) + self.intercept)


@dataclasses.dataclass(frozen=True)
class MixtureDetector(AbstractDetector):
    """A mixture of an exponential density (clean images) and a Gaussian one (adversarial images).

    Formula: `p(u) = (1 - share) exp(-u / scale) / scale + share N(u; mean, deviation^2)`; the probability of being
    adversarial is the Gaussian term's part of p(u). `fit` takes the values of greatest likelihood: the share of
    adversarial images, the mean of the clean figures, mean and deviation of the adversarial ones. `adapt` goes on
    without labels.

    Args:
        share: of the Gaussian, in [0, 1].
        scale: mean of the exponential, above 0.
        mean: of the Gaussian.
        deviation: standard deviation of the Gaussian, above 0.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> detector = MixtureDetector.fit(clean=[0.0, 0.001, 0.002], adversarial=[0.01, 0.02, 0.03])
        >>> round(detector.scale, 4), round(detector.mean, 4)
        (0.001, 0.02)

    Reference:
        Y. Guan, "Adversarial Example Defense and Detection using Quantized Neural Networks with Inference Time
        Dropout", University of Toronto, ECE1784 report, section 5 (proposed there, not tried).
    """

    share: float
    scale: float
    mean: float
    deviation: float

    def __post_init__(self):
        checks.require(0 <= self.share <= 1, "share must lie in [0, 1].", share=self.share)
        above = min(self.scale, self.deviation) > 0
        checks.require(above, "scale and deviation must be above 0.", scale=self.scale, deviation=self.deviation)

    @classmethod
    def fit(cls, clean, adversarial):
        return cls._weighted(*_pooled(clean, adversarial))

    @classmethod
    def _weighted(cls, values, weights):
        """The mixture of greatest likelihood if each value belongs to the Gaussian with the probability `weights`."""
        of_gaussian, of_exponential = max(weights.sum(), TINY), max((1 - weights).sum(), TINY)
        mean = float((weights * values).sum() / of_gaussian)
        deviation = float(np.sqrt((weights * (values - mean) ** 2).sum() / of_gaussian))
        scale = float(((1 - weights) * values).sum() / of_exponential)
        return cls(float(weights.mean()), max(scale, TINY), mean, max(deviation, TINY))

    def probability(self, values):
        return _sigmoid(self._log_odds(np.asarray(values, "float64")))

    def _log_odds(self, values):
        gaussian, exponential = self._log_densities(values)
        with np.errstate(divide="ignore"):  # a share of 0 or 1 rules one of the two out
            return np.log(self.share) - np.log(1 - self.share) + gaussian - exponential

    def _log_densities(self, values):
        away = (values - self.mean) / self.deviation
        gaussian = -(away**2) / 2 - np.log(self.deviation) - np.log(2 * np.pi) / 2
        return gaussian, -values / self.scale - np.log(self.scale)

    def adapt(self, values, nb_iter=200):
        """Expectation-maximisation on figures of unknown kind, from this mixture on.

        Args:
            values: figures, `[n]`, each at least 0.
            nb_iter: iterations, each of which raises the likelihood or leaves it.

        Returns:
            Another `MixtureDetector`.

        Raises:
            ValueError: a negative, non-finite or missing figure, or `nb_iter` below 1.

        Reference:
            A. Dempster, N. Laird, D. Rubin, "Maximum likelihood from incomplete data via the EM Algorithm", JRSS 1977.
        """
        values, detector = _figures(values, "values"), self
        for _ in range(checks.count(nb_iter, "nb_iter")):
            detector = self._weighted(values, detector.probability(values))
        return detector

    def log_likelihood(self, values):
        """Mean log density of the figures `values` `[n]`."""
        gaussian, exponential = self._log_densities(np.asarray(values, "float64"))
        with np.errstate(divide="ignore"):
            both = np.logaddexp(np.log(self.share) + gaussian, np.log(1 - self.share) + exponential)
        return float(both.mean())


def histogram(values, bins=100, top=0.035):
    """Count figures in bins of equal width.

    Args:
        values: figures, `[n]`, each at least 0.
        bins: number of bins.
        top: upper edge of the last bin, which counts what lies above it too.

    Returns:
        `(counts [bins], edges [bins + 1])`; the counts sum to n.

    Raises:
        ValueError: a negative, non-finite or missing figure, `bins` below 1, or `top` not above 0.

    Example:
        >>> histogram([0.0, 0.001, 0.02, 0.5], bins=2)[0].tolist()
        [2, 2]

    Reference:
        Y. Guan, "Adversarial Example Defense and Detection using Quantized Neural Networks with Inference Time
        Dropout", University of Toronto, ECE1784 report, figure 2 (100 bins between 0 and 0.035).
    """
    checks.require(top > 0, "top must be above 0.", top=top)
    values = np.minimum(_figures(values, "values"), top)
    return np.histogram(values, checks.count(bins, "bins"), (0, top))


def _pooled(clean, adversarial):
    """All figures, and which of them belong to adversarial images (1) or clean ones (0)."""
    clean, adversarial = _figures(clean, "clean"), _figures(adversarial, "adversarial")
    truth = np.repeat([0, 1], [len(clean), len(adversarial)])
    return np.concatenate([clean, adversarial]), truth


def _figures(values, name):
    values = np.asarray(values, "float64")
    checks.require(values.ndim == 1 and len(values) > 0, f"{name} must hold one figure per image.", shape=values.shape)
    legal = bool(np.isfinite(values).all() and values.min() >= 0)
    checks.require(legal, f"{name} must be finite and at least 0.", **{name: values[:10].tolist()})
    return values


def _sigmoid(log_odds):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-log_odds))
