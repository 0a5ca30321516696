"""Estimates how long work still takes, and gives durations in words."""

from __future__ import annotations

from napari_disca.core.events import Progress


class Pace:
    """Estimates the time that a stage still takes.

    Attributes
    ----------
    stage : str
        The stage; empty before the first event.
    began : float
        Time of the stage's first event, in seconds as `time.monotonic` gives them.
    """

    def __init__(self) -> None:
        self.began = self._when = 0.0
        self.stage = ""
        self._first = self._last = 0

    def see(self, event: Progress, now: float) -> bool:
        """Take an event into account; return whether it is the first of its stage.

        Parameters
        ----------
        event : Progress
        now : float
            Seconds, as `time.monotonic` gives them.
        """
        # A stage may begin half-way, for instance a resumed training.
        new = event.stage != self.stage or event.done < self._last
        if new:
            self.stage, self.began, self._first = event.stage, now, event.done
        self._last, self._when = event.done, now
        return new

    def left(self, event: Progress, now: float) -> float | None:
        """Return the seconds left; None while they cannot be estimated.

        Parameters
        ----------
        event : Progress
            The last one that `see` was given.
        now : float
            Seconds, as `time.monotonic` gives them.
        """
        done, todo = event.done - self._first, event.total - event.done
        if done <= 0 or todo <= 0 or now - self.began < 1:
            return None
        pace = (self._when - self.began) / done
        # Part of the next step is done; if that takes long, the later steps need not.
        return max(pace * todo - (now - self._when), pace * (todo - 1))

    def words(self, event: Progress, now: float) -> str:
        """Return the time left in words; empty while it cannot be estimated. See `left`."""
        left = self.left(event, now)
        return "" if left is None else f"about {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time in words, for instance ``"12 s"``, ``"5 min"`` or ``"2.5 h"``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
