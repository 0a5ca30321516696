"""Progress on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

from napari_disca.events import Progress


class Console:
    """Shows the events of a job: one line that is renewed on a terminal, a few lines elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._stage = ""
        self._began = 0.0
        self._shown = 0.0
        self._first = 0
        self._width = 0

    def __call__(self, event: Any) -> None:
        """Show an event if it is a `Progress`."""
        if not isinstance(event, Progress) or event.total <= 0:
            return
        now = time.monotonic()
        if event.stage != self._stage or event.done < self._first:
            self._stage, self._began, self._first = event.stage, now, event.done
            self._shown = now if not self._live else 0.0
        last = event.done == event.total
        if not last and now - self._shown < (0.1 if self._live else 10.0):
            return
        self._shown = now
        self.line(self._text(event, now), last)

    def _text(self, event: Progress, now: float) -> str:
        text = f"{event.stage}: {event.done} of {event.total} ({event.done / event.total:.0%})"
        worked = event.done - self._first
        if worked > 0 and event.done < event.total and now - self._began > 1:
            left = (now - self._began) / worked * (event.total - event.done)
            text += f", about {duration(left)} left"
        return text

    def line(self, text: str, last: bool = True) -> None:
        """Write a line, over the last one if that is still going on."""
        if self._live:
            end = "\n" if last else ""
            sys.stderr.write(f"\r{text.ljust(self._width)}{end}")
            self._width = 0 if last else len(text)
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Time in the unit a person would use."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
