"""A report as one HTML file: every figure and picture is inside it, so it opens from disk without network."""

import base64
import html
import io

import numpy as np

from tfrobust import files
from tfrobust.evaluation.metrics import row

COLOURS = {"ok": "#2e7d32", "warning": "#b26a00", "masking": "#b71c1c"}
VERDICT_COLOURS = {"trustworthy": "#2e7d32", "suspicious": "#b26a00", "masked": "#b71c1c"}
BAR, WORST_BAR = "#90a4ae", "#263238"
THUMBNAIL = 96  # pixels

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #212121 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .25rem .6rem; text-align: right }
td:first-child, th:first-child, td.text, th.text { text-align: left } tr { border-bottom: 1px solid #e0e0e0 }
tr.worst { font-weight: bold } figure { display: inline-block; margin: .4rem; font-size: .8rem; text-align: center }
img { image-rendering: pixelated; border: 1px solid #bdbdbd } svg { max-width: 100%; height: auto }
.verdict { padding: .15rem .6rem; border-radius: .3rem; color: white }
"""


def write(path, given):
    """Write the page of one or more `Report`s (one model, ascending budgets) to `path`, whole or not at all."""
    sections = [_curve(given)] if len(given) > 1 else []
    sections += [_section(report) for report in given]
    title = html.escape(f"{given[0].model} on {given[0].data}")
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{''.join(sections)}</body></html>\n"
    )
    files.write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _section(report):
    colour = VERDICT_COLOURS.get(report.verdict, "#616161")
    verdict = f'<span class="verdict" style="background:{colour}">{html.escape(report.verdict)}</span>'
    worst = f"worst case <b>{report.worst.value:.1%}</b> of {report.worst.n:,} images"
    parts = [
        f"<h2>{html.escape(report.threat)}, suite {html.escape(report.suite)}</h2><p>{worst}; gradients {verdict}</p>",
        "" if report.is_complete else "<p>Stopped by the time limit: what was not tried counts as standing.</p>",
        _bars(report),
        _accuracies(report),
        _checks(report) if report.checks else "",
        _examples(report) if report.examples else "",
    ]
    return "\n".join(parts) + "\n"


def _accuracies(report):
    heading = "right so far" if report.is_cascade else "accuracy"
    titles = ("images", heading, "95 % interval", "n", "tried", "queries", "seconds")
    rows = [
        _row(row(accuracy), "worst" if accuracy is report.worst else "")
        for accuracy in (report.clean, *report.attacks, report.worst)
    ]
    return f"<table>{_row(titles, tag='th')}{''.join(rows)}</table>"


def _checks(report):
    rows = [
        f'<tr><td>{html.escape(check.name)}</td><td class="text" style="color:{COLOURS[check.level]}">{check.level}'
        f'</td><td class="text">{html.escape(check.sentence)}</td></tr>'
        for check in report.checks
    ]
    return f"<h2>Masking checks</h2><table>{''.join(rows)}</table>"


def _row(values, style="", tag="td"):
    cells = "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values)
    return f'<tr class="{style}">{cells}</tr>'


def _examples(report):
    figures = [
        f"<figure>{_image(pair.clean)} {_image(pair.adversarial)}<figcaption>{html.escape(pair.attack)}<br>"
        f"{pair.label} is taken for {pair.decided}</figcaption></figure>"
        for pair in report.examples
    ]
    return f"<h2>Clean and adversarial images</h2><div>{''.join(figures)}</div>"


def _image(pixels):
    """An `img` element that holds its PNG."""
    import matplotlib.image

    rgb = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, np.clip(rgb, 0, 1), format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" width="{THUMBNAIL}" height="{THUMBNAIL}" src="data:image/png;base64,{data}">'


def _bars(report):
    """Accuracy after each attack and in the worst case, with intervals."""
    shown = [report.clean, *report.attacks, report.worst]
    figure, axes = _figure(0.6 + 0.28 * len(shown))
    values = np.array([accuracy.value for accuracy in shown])
    bounds = np.array([accuracy.interval for accuracy in shown])
    errors = np.abs(bounds.T - values)
    axes.barh(range(len(shown)), values, xerr=errors, color=[BAR] * (len(shown) - 1) + [WORST_BAR], ecolor="#546e7a")
    axes.set_yticks(range(len(shown)), [accuracy.name for accuracy in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share right" + (", each attack after those above it" if report.is_cascade else ""))
    return _svg(figure)


def _curve(given):
    """Clean accuracy and worst case against the budget."""
    figure, axes = _figure(3.2)
    budgets = [report.eps for report in given]
    for name, colour in (("clean", BAR), ("worst", WORST_BAR)):
        accuracies = [getattr(report, name) for report in given]
        low, high = zip(*(accuracy.interval for accuracy in accuracies), strict=True)
        axes.plot(budgets, [accuracy.value for accuracy in accuracies], "o-", color=colour, label=accuracies[0].name)
        axes.fill_between(budgets, low, high, color=colour, alpha=0.2)
    axes.set_ylim(0, 1)
    axes.set_xlabel("eps")
    axes.legend()
    return f"<h2>Accuracy against eps</h2>{_svg(figure)}"


def _figure(height):
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure):
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
