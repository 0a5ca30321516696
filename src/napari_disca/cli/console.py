"""Progress on standard error."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

from napari_disca.core.events import Note, Progress

#: Seconds. On a terminal a line is renewed at once; in a log a line is for good, what took a
#: moment is not worth one, and a long run does not need them as often as a short one.
_RENEWED, _BRIEF, _APART, _SHARE = 0.1, 5.0, 10.0, 0.02


class Console:
    """Shows the events of a job: one line that is renewed on a terminal, a few lines elsewhere.

    Parameters
    ----------
    outer : str
        Stage that counts the items (images) within which the other stages come and go; the
        remaining time is that of all items.
    """

    #: Whether the terminal's last line is still going on, whoever wrote it.
    _width = 0

    def __init__(self, outer: str = "") -> None:
        self._live = sys.stderr.isatty()
        self._outer = outer
        self._item: Progress | None = None
        self._items = _Pace()
        self._inner = _Pace()
        self._born = time.monotonic()
        self._shown = 0.0 if self._live else self._born

    def __call__(self, event: Any, note: str = "") -> None:
        """Show an event if it is a `Progress`.

        Parameters
        ----------
        note : str
            What to say besides, for instance the loss.
        """
        if isinstance(event, Note):
            _tell(event)
        if not isinstance(event, Progress) or event.total <= 0:
            return
        now = time.monotonic()
        if self._outer and event.stage == self._outer:
            self._item = event
            self._items.see(event, now)
        elif self._inner.see(event, now) and not self._outer:
            self._shown = 0.0 if self._live else now
        last = event.done == event.total and event.stage == (self._outer or event.stage)
        began = self._items.began if self._outer else self._inner.began
        if not self._live and now - began < _BRIEF:
            return
        wait = _RENEWED if self._live else max(_APART, _SHARE * (now - self._born))
        if last or now - self._shown >= wait:
            self._shown = now
            self.line(self._text(event, now) + (f", {note}" if note else ""), last)

    def _text(self, event: Progress, now: float) -> str:
        text = f"{event.stage}: {event.done} of {event.total} ({event.done / event.total:.0%})"
        if self._item is None:
            return text + self._inner.left(event, now)
        if event is not self._item:
            text = f"[{self._item.done + 1} of {self._item.total}] {text}"
        return text + self._items.left(self._item, now)

    def line(self, text: str, last: bool = True) -> None:
        """Write a line, over the last one if that is still going on."""
        if self._live:
            # A line that wraps cannot be renewed.
            text = text[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r{text.ljust(Console._width)}" + ("\n" if last else ""))
            Console._width = 0 if last else len(text)
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def settle() -> None:
    """End a line that is still going on, before something else is written."""
    if Console._width:
        sys.stderr.write("\n")
        Console._width = 0


def note(line: str) -> None:
    """Write a line for the user's eyes."""
    settle()
    print(line, file=sys.stderr)  # noqa: T201


def _tell(event: Note) -> None:
    note(event.text)


class _Pace:
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
        return f", about {duration(left)} left"


def duration(seconds: float) -> str:
    """Time in the unit a person would use."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
