"""How far a long command is: a bar in a terminal, a line at the beginning and at the end elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown(text: str, total: int | None = None, *, bytes_: bool = True) -> Iterator[Callable[[int], None]]:
    """Gives what is to be told how much more is done. `total` None: nobody knows. On standard error, so that the output
    can be used."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"{text} ...\n")
        yield lambda _more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    count = DownloadColumn(binary_units=True) if bytes_ else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(text, total=total)
        yield lambda more: progress.update(task, advance=more)
