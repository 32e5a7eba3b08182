"""Charts of a table measured again: each takes a `Result` and returns a `matplotlib` figure."""

import math

PANELS_PER_LINE = 2


def bars(result):
    """One panel per column, in it the paper's figure and ours for each row, and the worst case of accuracies."""
    rows, columns = result.item.rows, result.item.columns
    figure = _figure(3 * len(columns) + 2, 0.5 * len(rows) + 1.5)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for column, axes in zip(columns, panels, strict=True):
        paper = [row.paper.get(column) for row in rows]
        ours = [result.measured.get(row.label, {}).get(column) for row in rows]
        for offset, values, name in ((-0.2, paper, "paper"), (0.2, ours, "ours")):
            widths = [math.nan if value is None else value for value in values]
            axes.barh([at + offset for at in range(len(rows))], widths, 0.4, label=name)
        if result.item.as_percent:
            worst = [result.worst.get(row.label, (math.nan,))[0] for row in rows]
            axes.scatter(worst, range(len(rows)), marker="|", s=300, color="black", label="worst case", zorder=3)
        axes.set(title=column, yticks=range(len(rows)), yticklabels=[row.label for row in rows])
        axes.ticklabel_format(axis="x", scilimits=(-2, 3))
        axes.locator_params(axis="x", nbins=5)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def curves(result):
    """Accuracy over the budget: a line per row, whose columns are budgets; a triangle is its worst case at the last."""
    figure = _figure(7, 4.5)
    axes, budgets = figure.subplots(), [float(column) for column in result.item.columns]
    for label, figures in result.measured.items():
        values = [figures[column] for column in result.item.columns]
        (line,) = axes.plot(budgets, values, marker="o", label=label)
        if label in result.worst:
            axes.plot(budgets[-1], result.worst[label][0], "v", color=line.get_color(), ms=10, mec="black", zorder=3)
    axes.plot([], [], "v", color="white", mec="black", label="worst case")
    axes.set(xlabel="eps", ylabel="accuracy, %", ylim=(-5, 105))
    axes.legend()
    return figure


def histograms(result):
    """A panel per row: how many images lie in each bin, from columns named `<kind> <lower edge of the bin>`."""
    lines = math.ceil(len(result.measured) / PANELS_PER_LINE) or 1
    figure = _figure(5 * PANELS_PER_LINE, 2.2 * lines + 0.5)
    panels = list(figure.subplots(lines, PANELS_PER_LINE, sharex=True, sharey=True, squeeze=False).flat)
    for axes, (label, figures) in zip(panels, result.measured.items(), strict=False):
        for kind, counts in _by_kind(figures, result.item.columns).items():
            width = max(counts) / (len(counts) - 1)
            axes.bar(counts.keys(), counts.values(), width, align="edge", alpha=0.5, label=kind)
        worst = "; worst case {:.1f} % ({:,})".format(*result.worst[label]) if label in result.worst else ""
        axes.set(title=label + worst, yscale="symlog", xlabel="uncertainty", ylabel="images", ylim=0)
        axes.label_outer()
        axes.legend()
    for axes in panels[len(result.measured) :]:
        axes.remove()
    return figure


def _by_kind(figures, others):
    """`{kind: {lower edge: count}}` from the columns that are not among `others`."""
    kinds = {}
    for column, count in figures.items():
        if column not in others:
            kind, edge = column.rsplit(" ", 1)
            kinds.setdefault(kind, {})[float(edge)] = count
    return kinds


def _figure(width, height):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
