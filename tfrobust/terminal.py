"""What a terminal shows: progress bars on standard error, and tables as text."""

import contextlib


@contextlib.contextmanager
def bar(description, total, show=None):
    """Show a bar inside the block; yields a function that moves it by a number of steps.

    Args:
        description: text before the bar.
        total: number of steps.
        show: True, False, or None for "only on a terminal".
    """
    if show is False:
        yield lambda steps: None
        return
    import rich.console
    import rich.progress

    columns = (*rich.progress.Progress.get_default_columns(), rich.progress.TimeElapsedColumn())
    console = rich.console.Console(stderr=True)
    hidden = show is None and not console.is_terminal
    with rich.progress.Progress(*columns, console=console, disable=hidden) as shown:
        task = shown.add_task(description, total=total)
        yield lambda steps: shown.advance(task, steps)


def render(table, width=120):
    """A `rich` table as plain text of at most `width` columns."""
    import io

    import rich.console

    console = rich.console.Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()
