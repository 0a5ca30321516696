"""Estimates how long work will take, from earlier work on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_disca.core.errors import DiscaError
from napari_disca.core.events import Progress
from napari_disca.gui.toolkit.state_file import StateFile
from napari_disca.inference.tiles import tiling_for

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.tasks.opening.image_choice import ImageChoice
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.session.steps.steps import Step

#: Fewer tiles than these say little about the next ones.
_FEW_TILES = 4
#: Part of a file after which its time is that of the whole.
_NEARLY = 0.9
#: Weight of the latest measure among those before.
_LATEST = 0.5
#: Kinds of work that are remembered, the oldest forgotten.
_MOST = 100
_PIXELS = 1e6
_FILE = StateFile("speed.json", 1 << 16)


class Estimates(QObject):
    """Measures work while it runs, and estimates how long the same kind of work will take.

    The first map, and the map after an adaptation (whose features are cached), are measured by
    tile, an adaptation as a whole, and a file by its size.

    Parameters
    ----------
    control : Control
    choice : ImageChoice
        Says which network runs on which device.
    parent : QObject
    """

    def __init__(self, control: Control, choice: ImageChoice, parent: QObject) -> None:
        super().__init__(parent)
        self._control, self._choice = control, choice
        self._rates = _read()
        self._tiles: tuple[NetworkView | None, int] = (None, 0)
        #: What is being measured, since when, and how far it has come.
        self._what = ""
        self._began = 0.0
        self._last = Progress("", 0, 0)
        self._step: Step | None = None
        control.progressed.connect(self._on_progress)
        control.changed.connect(self._on_changed)

    # ------------------------------------------------------------------ telling

    def segment(self) -> float | None:
        """Seconds that the first map of the chosen image takes; None if not known."""
        return self._of_tiles("segment")

    def adapt(self) -> float | None:
        """Seconds that an adaptation and the map after it take; None if not known."""
        learning, redoing = self._rates.get(self._key("learn")), self._of_tiles("redo")
        return None if learning is None or redoing is None else learning + redoing

    def save(self) -> float | None:
        """Seconds that writing a map takes; None if not known."""
        view = self._choice.view
        rate = self._rates.get("save")
        if rate is None or view is None:
            return None
        height, width = view.raster.shape
        return rate * height * width / _PIXELS

    def left(self, progress: Progress, measured: float | None) -> float | None:
        """Seconds that are left of the running work; None if not known.

        Parameters
        ----------
        progress : Progress
        measured : float or None
            Seconds that are left of this stage, judged by its pace so far; None where it has just
            begun.
        """
        share = 1 - progress.done / max(progress.total, 1)
        what = self._what
        if what == "learn":
            learning, redoing = self._rates.get(self._key("learn")), self._of_tiles("redo")
            if measured is None and learning is not None:
                measured = max(0.0, learning - (time.monotonic() - self._began))
            return measured if measured is None or redoing is None else measured + redoing
        if measured is not None:
            return measured
        whole = self.save() if what == "save" else self._rates.get(self._key(what))
        if whole is None:
            return None
        return whole * share if what == "save" else whole * (progress.total - progress.done)

    def _of_tiles(self, what: str) -> float | None:
        rate = self._rates.get(self._key(what))
        return None if rate is None else rate * self._tile_count()

    def _tile_count(self) -> int:
        view = self._choice.view
        if self._tiles[0] is not view:
            try:
                self._tiles = view, 0 if view is None else len(tiling_for(view))
            except DiscaError:  # more than can be corrected, which is told when it is tried
                self._tiles = view, 0
        return self._tiles[1]

    def _key(self, what: str) -> str:
        chosen = self._choice.chosen
        if chosen is None:
            return ""
        return f"{what} {chosen.weights} {chosen.device} {chosen.precision}"

    # ------------------------------------------------------------------ measuring

    def _kind(self) -> str:
        """Key under which the running work is remembered; empty if it is not worth remembering."""
        control, session = self._control, self._control.session
        running = control.running
        if running == "learn":
            return "learn"
        if running == "file":
            return "save"
        if running == "map" and session is not None:
            if session.map_state.up_to_date("initial") < 1:
                return "segment"
            if session.document.step.kind == "adapt":
                return "redo"
        return ""

    def _on_changed(self) -> None:
        running = self._kind()
        # The first map stays one until its last tile is computed.
        if self._what and running != self._what and not self._control.running:
            self._finish()
        elif running and running != self._what:
            self._finish()
            self._start(running)

    def _start(self, what: str) -> None:
        session = self._control.session
        self._what, self._began = what, time.monotonic()
        self._last = Progress("", 0, 0)
        self._step = None if session is None else session.document.step

    def _on_progress(self, progress: Progress) -> None:
        if progress.total > 0:
            if not self._what or progress.done < self._last.done:
                self._finish()
                self._start(self._kind())
            self._last = progress

    def _finish(self) -> None:
        what, self._what = self._what, ""
        took, last, session = time.monotonic() - self._began, self._last, self._control.session
        if session is None or not what or last.total <= 0:
            return
        if what == "learn":
            if session.document.step.kind == "adapt" and session.document.step is not self._step:
                self._keep(self._key(what), took)
        elif what == "save":
            if last.done >= _NEARLY * last.total:
                height, width = session.raster.shape
                self._keep(what, took * _PIXELS / (height * width))
        elif last.done >= min(_FEW_TILES, last.total):
            self._keep(self._key(what), took / last.done)

    def _keep(self, key: str, rate: float) -> None:
        if not key or rate <= 0:
            return
        before = self._rates.pop(key, rate)
        self._rates[key] = _LATEST * rate + (1 - _LATEST) * before
        _FILE.write(dict(list(self._rates.items())[-_MOST:]))


def _read() -> dict[str, float]:
    saved = _FILE.read()
    if not isinstance(saved, dict):
        return {}
    numbers = {str(key): rate for key, rate in saved.items() if isinstance(rate, float)}
    return {key: rate for key, rate in numbers.items() if 0 < rate < 1e6}
