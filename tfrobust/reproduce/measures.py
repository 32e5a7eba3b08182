"""How a table's figures are measured: each function takes all models of the table, by label."""

from tfrobust import evaluation


def accuracies(suite):
    """Accuracy clean and under each attack, in percent.

    Args:
        suite: `{column: attack}`.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: percent}}`.

    Example:
        >>> from tfrobust import architectures, attacks, data
        >>> digits = data.load("digits", n=8)
        >>> measure = accuracies({"FGSM": attacks.FGSM(eps=0.1)})
        >>> sorted(measure({"a": architectures.build("mlp")}, digits.pixels(), digits.labels)["a"])
        ['FGSM', 'clean']
    """
    eps = max(attack.eps for attack in suite.values())

    def one(model, x, y):
        report = evaluation.evaluate(model, (x, y), eps, suite=list(suite.values()), examine=False)
        figures = [report.clean, *report.attacks]
        return {name: 100 * each.value for name, each in zip(("clean", *suite), figures, strict=True)}

    return lambda models, x, y: {label: one(model, x, y) for label, model in models.items()}
