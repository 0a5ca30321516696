"""Finds the second class under the pointer on a thread, and caches it by tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cachetools import LRUCache
from qtpy.QtCore import QObject, QTimer

from napari_disca.gui.toolkit.background_job import BackgroundJob
from napari_disca.inference.two_best import Ranked, TwoBest

if TYPE_CHECKING:
    from napari_disca.session.ranking import RankingKey, TileRanking
    from napari_disca.session.session import Session

#: Milliseconds for which the pointer rests before its tile is computed.
_REST = 250
#: Most tiles in the cache; each takes a megabyte.
_KEPT = 24


class SecondClass(QObject):
    """Gives the best and the second class of a pixel.

    A known tile is read from the cache. An unknown one is computed on a thread once the pointer
    rests and no task runs.

    Parameters
    ----------
    busy : callable
        Whether a task runs.
    found : callable
        Called when another tile is known.
    """

    def __init__(
        self, busy: Callable[[], bool], found: Callable[[], object], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._busy, self._found = busy, found
        self._session: Session | None = None
        self._background = BackgroundJob(self)
        self._tiles: LRUCache[RankingKey, TwoBest | None] = LRUCache(_KEPT)
        #: The tile that was asked for last, and the one that is being computed.
        self._wanted: TileRanking | None = None
        self._asked: TileRanking | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST)
        self._rest.timeout.connect(self._ask)

    def end(self) -> None:
        """Stop computing, and end the thread."""
        self._rest.stop()
        self._drop()
        self._background.end()

    def at(self, session: Session, name: str, row: int, col: int) -> tuple[Ranked, Ranked] | None:
        """Return the best and the second class of a pixel; None while they are not known."""
        if session is not self._session:
            self._drop()
            self._session = session
        wanted = session.ranking(name, row, col)
        if wanted.key in self._tiles:
            two_best = self._tiles[wanted.key]
            return None if two_best is None else two_best.at(*wanted.place)
        if self._wanted is None or self._wanted.key != wanted.key:
            self._rest.start()
        self._wanted = wanted
        return None

    def _drop(self) -> None:
        self._tiles.clear()
        self._wanted = self._asked = None
        self._background.drop()

    def _ask(self) -> None:
        if self._wanted is None or self._wanted.key in self._tiles:
            return
        if self._background.running or self._busy():
            self._rest.start()  # later
        elif self._wanted.ready:
            self._asked = self._wanted
            self._background.start(self._asked.job(), self._on_returned)

    def _on_returned(self, two_best: TwoBest | None) -> None:
        if self._asked is not None:
            self._tiles[self._asked.key] = two_best
            self._found()
