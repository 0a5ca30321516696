"""The program's output: progress and notes on standard error, results on standard output.

On a terminal a job is shown as a progress bar, elsewhere (a file, a pipe, a scheduler's log) as a
few plain lines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TextIO, TypeVar

from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table
from rich.text import Text

from napari_disca.core.events import Event, Job, Note, Progress, finish
from napari_disca.core.pace import Pace

T = TypeVar("T")

#: Seconds between two updates of a bar.
_REFRESH = 0.1
#: In a log, a stage is reported after this many seconds.
_BRIEF = 5.0
#: Seconds between two lines of a log: at least the first, and this share of the time so far.
_INTERVAL, _SHARE = 10.0, 0.02


class Display(AbstractContextManager["Display"], Protocol):
    """Shows the events of a job."""

    def show(self, event: object, note: str = "") -> None:
        """Show an event if it is a `Progress` or a `Note`.

        Parameters
        ----------
        event : object
        note : str
            Text to show beside the progress, for instance the loss.
        """

    def say(self, line: str, file: TextIO) -> None:
        """Write a line to a stream without damaging the bars.

        Parameters
        ----------
        line : str
        file : text stream
            Standard output or standard error.
        """


#: The displays in use, the innermost last; other lines are written through it.
_active: list[Display] = []


def display(outer: str = "") -> Display:
    """Return a display with bars if standard error is a terminal, else one with lines.

    Parameters
    ----------
    outer : str
        The stage that counts items, for instance images, if the other stages are repeated for each
        of them; the time left is then that of all items.
    """
    if sys.stderr.isatty():
        console = Console(file=sys.stderr)
        if not console.is_dumb_terminal:
            return BarDisplay(outer, console)
    return LineDisplay(outer)


def run_job(
    job: Job[T], on_event: Callable[[Event], object] | None = None, *, outer: str = ""
) -> T:
    """Run a job to its end, show its progress, and return its result.

    Parameters
    ----------
    job : Job
    on_event : callable, optional
        Called with every event.
    outer : str
        See `display`.
    """
    with display(outer) as shown:

        def on_each(event: Event) -> None:
            shown.show(event)
            if on_event is not None:
                on_event(event)

        return finish(job, on_each)


def note(line: str) -> None:
    """Write a line about the work to standard error."""
    _write(line, sys.stderr)


def say(*lines: str) -> None:
    """Write lines of results to standard output."""
    for line in lines:
        _write(line, sys.stdout)


def _write(line: str, file: TextIO) -> None:
    if _active:
        _active[-1].say(line, file)
    else:
        print(line, file=file)


def say_table(rows: Sequence[Sequence[str]], plain: str, file: TextIO | None = None) -> None:
    """Write a table, fitted to the width of a terminal, or as plain text elsewhere.

    Parameters
    ----------
    rows : sequence of sequences of str
        The first row is the header, the first column has the names of the rows.
    plain : str
        The same table as plain text.
    file : stream, optional
        Standard output by default.
    """
    file = file or sys.stdout
    if len(rows) < 2 or not file.isatty():
        print(plain, file=file)
        return
    console = Console(file=file)
    table = _table(rows)
    if console.measure(table).minimum > console.width or _width(rows) > console.width:
        # Too wide: one line for each figure.
        table = _table(list(zip(*rows, strict=True)))
    console.print(table)


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True))


def _table(rows: Sequence[Sequence[str]]) -> Table:
    header, *others = rows
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="right" if index else "left")
    for row in others:
        table.add_row(*map(Text, row))
    return table


class BarDisplay:
    """Shows one bar for each stage, and one for the items if there is an outer stage.

    Parameters
    ----------
    outer : str
        See `display`.
    console : Console
    """

    def __init__(self, outer: str, console: Console) -> None:
        self._outer = outer
        self._bars = Bars(
            TextColumn("{task.description}", table_column=Column(no_wrap=True), markup=False),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            auto_refresh=False,
            # The bars are on standard error; standard output may be a file of results.
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._items: TaskID | None = None
        self._stage: TaskID | None = None
        self._paces = {True: Pace(), False: Pace()}
        self._item: Progress | None = None
        self._shown = 0.0

    def __enter__(self) -> BarDisplay:
        _active.append(self)
        self._bars.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self._fill()
        self._bars.refresh()
        self._bars.stop()
        _active.remove(self)

    def _fill(self) -> None:
        """Show the current stage as complete: many jobs yield no event after the last step."""
        for task in self._bars.tasks:
            if task.id == self._stage and not task.finished:
                self._bars.update(task.id, completed=task.total, left="")

    def show(self, event: object, note: str = "") -> None:
        """Update the bar of an event's stage; write a note as a line. See `Display.show`."""
        if isinstance(event, Note):
            self.say(event.text, sys.stderr)
        if not isinstance(event, Progress) or event.total <= 0:
            return
        now = time.monotonic()
        is_outer = bool(self._outer) and event.stage == self._outer
        pace = self._paces[is_outer]
        new = pace.see(event, now)
        if is_outer:
            self._item = event
        task = self._task(event, is_outer, new)
        # The time left is that of all items.
        left = "" if self._item and not is_outer else pace.words(event, now)
        words = ", ".join(filter(None, (left, note)))
        self._bars.update(task, completed=event.done, total=event.total, left=words)
        if self._items is not None and self._item is not None:
            self._bars.update(self._items, left=self._paces[True].words(self._item, now))
        last = event.done == event.total
        if is_outer and last and self._stage is not None:
            self._bars.remove_task(self._stage)
            self._stage = None
        if new or last or now - self._shown >= _REFRESH:
            self._shown = now
            self._bars.refresh()

    def _task(self, event: Progress, is_outer: bool, new: bool) -> TaskID:
        if is_outer:
            if self._items is None:
                self._items = self._bars.add_task(event.stage, total=event.total, left="")
            return self._items
        if new or self._stage is None:
            self._fill()
            if self._outer and self._stage is not None:
                self._bars.remove_task(self._stage)
            self._stage = self._bars.add_task(event.stage, total=event.total, left="")
        return self._stage

    def say(self, line: str, file: TextIO) -> None:
        """Write a line above the bars, or to a stream that is not a terminal. See `Display.say`."""
        if file is not sys.stderr and not file.isatty():
            print(line, file=file)
            return
        # The bars are removed while the line is written, and drawn again below it.
        live = self._bars.live
        live.transient = True
        self._bars.stop()
        live.transient = False
        print(line, file=file, flush=True)
        self._bars.start()


class LineDisplay:
    """Writes a few lines about the progress, for a log.

    Parameters
    ----------
    outer : str
        See `display`.
    """

    def __init__(self, outer: str = "") -> None:
        self._outer = outer
        self._item: Progress | None = None
        self._items = Pace()
        self._inner = Pace()
        self._start = self._shown = time.monotonic()

    def __enter__(self) -> LineDisplay:
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.remove(self)

    def show(self, event: object, note: str = "") -> None:
        """Write a line if the last one was long ago, and every note. See `Display.show`."""
        if isinstance(event, Note):
            self.say(event.text, sys.stderr)
        if not isinstance(event, Progress) or event.total <= 0:
            return
        now = time.monotonic()
        if self._outer and event.stage == self._outer:
            self._item = event
            self._items.see(event, now)
        elif self._inner.see(event, now) and not self._outer:
            self._shown = now
        began = self._items.began if self._outer else self._inner.began
        if now - began < _BRIEF:
            return
        last = event.done == event.total and event.stage == (self._outer or event.stage)
        if last or now - self._shown >= max(_INTERVAL, _SHARE * (now - self._start)):
            self._shown = now
            self.say(", ".join(filter(None, (*self._words(event, now), note))), sys.stderr)

    def _words(self, event: Progress, now: float) -> tuple[str, str]:
        text = f"{event.stage}: {event.done} of {event.total} ({event.done / event.total:.0%})"
        if self._item is None:
            return text, self._inner.words(event, now)
        if event is not self._item:
            text = f"[{self._item.done + 1} of {self._item.total}] {text}"
        return text, self._items.words(self._item, now)

    def say(self, line: str, file: TextIO) -> None:
        """Write a line to a stream. See `Display.say`."""
        print(line, file=file, flush=True)
