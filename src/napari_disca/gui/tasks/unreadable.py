"""Tells once of tiles that could not be read, and has them read again from time to time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer

from napari_disca.session.session import Session

#: Milliseconds until an unreadable tile is read again; doubled each time, up to the second.
_FIRST_RETRY, _LAST_RETRY = 15_000, 300_000


class UnreadableTiles(QObject):
    """Tells of a session's unreadable tiles and has them read again.

    Parameters
    ----------
    again : callable
        Computes missing tiles, unless a task runs.
    parent : QObject
    """

    def __init__(self, again: Callable[[], object], parent: QObject) -> None:
        super().__init__(parent)
        #: Tiles that the user was told of.
        self._reported: frozenset[int] = frozenset()
        self._wait = _FIRST_RETRY
        self.timer = QTimer(self)
        self.timer.setSingleShot(True)
        self.timer.timeout.connect(again)

    def update(self, session: Session | None) -> None:
        """Warn once about tiles that could not be read, and start the timer of the next attempt."""
        bad = session.unreadable if session is not None else {}
        now = frozenset(bad)
        if now - self._reported:
            parts = "A part" if len(bad) == 1 else f"{len(bad)} parts"
            show_warning(
                f"{parts} of the map could not be computed, the rest is finished: "
                f"{next(iter(bad.values()))}. It is tried again from time to time"
            )
            self._wait = _FIRST_RETRY
        if bad:
            self.timer.start(self._wait)
            self._wait = min(2 * self._wait, _LAST_RETRY)
        else:
            self.timer.stop()
        self._reported = now

    def forget(self) -> None:
        """Stop reading again: the session is closed."""
        with suppress(RuntimeError):  # Qt has deleted it where the window is closed
            self.timer.stop()
        self._reported = frozenset()
