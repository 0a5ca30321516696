"""What the user sees: progress and notes on standard error, results on standard output.

On a terminal a job is a bar, elsewhere (a file, a pipe, a scheduler's log) a few plain lines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TextIO, TypeVar

from rich import box
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table
from rich.text import Text

from napari_disca.core.events import Job, Note, Progress, finish

T = TypeVar("T")

#: Seconds between looks at a bar.
_RENEWED = 0.1
#: Seconds. A line of a log is for good: what took a moment is not worth one, and a long run does
#: not need them as often as a short one.
_BRIEF, _APART, _SHARE = 5.0, 10.0, 0.02


class Display(AbstractContextManager["Display"], Protocol):
    """Shows the events of a job."""

    def show(self, event: object, note: str = "") -> None:
        """Show an event if it is a `Progress` or a `Note`.

        Parameters
        ----------
        event : object
        note : str
            What to say besides, for instance the loss.
        """

    def say(self, line: str, file: TextIO) -> None:
        """Write a line to a stream while the job goes on."""


#: What runs now, so that other lines do not run into its bars.
_active: list[Display] = []


def display(outer: str = "") -> Display:
    """Return bars where standard error is a terminal, and lines elsewhere.

    Parameters
    ----------
    outer : str
        Stage that counts the items (images) within which the other stages come and go; the
        remaining time is that of all items.
    """
    if sys.stderr.isatty():
        console = Console(file=sys.stderr)
        if not console.is_dumb_terminal:
            return BarDisplay(outer, console)
    return LineDisplay(outer)


def run_job(job: Job[T], on_event: Callable[[Any], object] | None = None, *, outer: str = "") -> T:
    """Run a job to its end, show its progress, and return its result.

    Parameters
    ----------
    job : Job
    on_event : callable, optional
        Takes every event, too.
    outer : str
        See `display`.
    """
    with display(outer) as shown:

        def on_each(event: Any) -> None:
            shown.show(event)
            if on_event is not None:
                on_event(event)

        return finish(job, on_each)


def note(line: str) -> None:
    """Write a line for the user's eyes to standard error."""
    _write(line, sys.stderr)


def say(*lines: str) -> None:
    """Write results to standard output."""
    for line in lines:
        _write(line, sys.stdout)


def _write(line: str, file: TextIO) -> None:
    if _active:
        _active[-1].say(line, file)
    else:
        print(line, file=file)


def say_table(rows: Sequence[Sequence[str]], plain: str, file: TextIO | None = None) -> None:
    """Write a table: fitted to a terminal, plain text elsewhere.

    Parameters
    ----------
    rows : sequence of sequences of str
        The first is the header, the first column names the others.
    plain : str
        The same as text.
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
        # Few rows with many figures: one line a figure.
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
    """A bar a stage, renewed in place; the items (images) have one of their own.

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
            # Results go to standard output, whatever is shown here.
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

    def __exit__(self, *_: object) -> None:
        self._bars.refresh()
        self._bars.stop()
        _active.remove(self)

    def show(self, event: object, note: str = "") -> None:
        """Move the bar of the event's stage."""
        if isinstance(event, Note):
            self.say(event.text, sys.stderr)
        if not isinstance(event, Progress) or event.total <= 0:
            return
        now = time.monotonic()
        whole = bool(self._outer) and event.stage == self._outer
        pace = self._paces[whole]
        new = pace.see(event, now)
        if whole:
            self._item = event
        task = self._task(event, whole, new)
        # The time left is that of all items.
        left = "" if self._item and not whole else pace.left(event, now)
        words = ", ".join(filter(None, (left, note)))
        self._bars.update(task, completed=event.done, left=words)
        if self._items is not None and self._item is not None:
            self._bars.update(self._items, left=self._paces[True].left(self._item, now))
        last = event.done == event.total
        if whole and last and self._stage is not None:
            self._bars.remove_task(self._stage)
            self._stage = None
        if new or last or now - self._shown >= _RENEWED:
            self._shown = now
            self._bars.refresh()

    def _task(self, event: Progress, whole: bool, new: bool) -> TaskID:
        if whole:
            if self._items is None:
                self._items = self._bars.add_task(event.stage, total=event.total, left="")
            return self._items
        if new or self._stage is None:
            if self._outer and self._stage is not None:
                self._bars.remove_task(self._stage)
            self._stage = self._bars.add_task(event.stage, total=event.total, left="")
        return self._stage

    def say(self, line: str, file: TextIO) -> None:
        """Write a line over the bars, or past them where they are not seen."""
        if file is not sys.stderr and not file.isatty():
            print(line, file=file)
            return
        # The bars go while the line is written and come back below it.
        live = self._bars.live
        live.transient = True
        self._bars.stop()
        live.transient = False
        print(line, file=file, flush=True)
        self._bars.start()


class LineDisplay:
    """A few lines for a log.

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
        self._born = self._shown = time.monotonic()

    def __enter__(self) -> LineDisplay:
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.remove(self)

    def show(self, event: object, note: str = "") -> None:
        """Write a line if it is time for one."""
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
        if last or now - self._shown >= max(_APART, _SHARE * (now - self._born)):
            self._shown = now
            self.say(", ".join(filter(None, (*self._words(event, now), note))), sys.stderr)

    def _words(self, event: Progress, now: float) -> tuple[str, str]:
        text = f"{event.stage}: {event.done} of {event.total} ({event.done / event.total:.0%})"
        if self._item is None:
            return text, self._inner.left(event, now)
        if event is not self._item:
            text = f"[{self._item.done + 1} of {self._item.total}] {text}"
        return text, self._items.left(self._item, now)

    def say(self, line: str, file: TextIO) -> None:
        """Write a line."""
        print(line, file=file, flush=True)


class Pace:
    """How fast a stage goes."""

    def __init__(self) -> None:
        self.began = self._when = 0.0
        self._stage = ""
        self._first = self._last = 0

    def see(self, event: Progress, now: float) -> bool:
        """Whether the event begins a stage, which may have begun half-way (a resumed training)."""
        new = event.stage != self._stage or event.done < self._last
        if new:
            self._stage, self.began, self._first = event.stage, now, event.done
        self._last, self._when = event.done, now
        return new

    def left(self, event: Progress, now: float) -> str:
        """How much longer, in words; nothing where it is not known yet."""
        worked, todo = event.done - self._first, event.total - event.done
        if worked <= 0 or todo <= 0 or now - self.began < 1:
            return ""
        pace = (self._when - self.began) / worked
        # Part of the next step has passed; if it takes longer than others, not all of them will.
        left = max(pace * todo - (now - self._when), pace * (todo - 1))
        return f"about {duration(left)} left"


def duration(seconds: float) -> str:
    """Time in the unit a person would use."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
