"""Compares the maps before and after an adaptation on a thread, while they are still computed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_disca.core.events import Patch
from napari_disca.gui.toolkit.background_job import BackgroundJob
from napari_disca.session.regions.changed_regions import Region
from napari_disca.session.regions.ripple import Ripple, RippleSoFar

if TYPE_CHECKING:
    from napari_disca.session.session import Session
    from napari_disca.session.steps.steps import Step

#: Least area of listed regions, pixels: smaller ones can hardly be seen.
_LEAST = 16
#: Milliseconds from a painted patch to the next comparison.
_SOON = 250
#: The next comparison waits so many times as long as the last one took.
_REST = 4


class RippleComparison(QObject):
    """Compares the maps of a session again and again, until they are complete.

    Signals: ``listed`` with the largest regions found so far, during the first comparison;
    ``found`` with the `Ripple` of a comparison that has ended.

    Parameters
    ----------
    parent : QObject

    Attributes
    ----------
    ripple : Ripple or None
        The regions that were found since the last step of the session.
    """

    listed = Signal(object)
    found = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.ripple: Ripple | None = None
        self._session: Session | None = None
        self._background = BackgroundJob(self)
        self._background.progressed.connect(self._on_progress)
        self._background.finished.connect(self._on_finished)
        self._began = 0.0
        #: Whether a patch was painted since the last comparison.
        self._was_painted = False
        self._step: Step | None = None
        #: The step that the last comparison began with.
        self._compared_step: Step | None = None
        #: Whether the last comparison lacked tiles, and was dropped for a complete one.
        self._was_dropped = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SOON)
        self._timer.timeout.connect(self._start)

    @property
    def settled(self) -> bool:
        """Whether no comparison runs or is due."""
        return not (self._background.running or self._was_painted or self._timer.isActive())

    def begin(self, session: Session | None) -> None:
        """Compare the maps of another session, or none."""
        if self._session is not None:
            self._session.painted.disconnect(self._on_painted)
        self._timer.stop()
        self._background.drop()  # its regions belong to a session that is closed
        self._session, self.ripple, self._step, self._was_dropped = session, None, None, False
        if session is not None:
            session.painted.connect(self._on_painted)

    def end(self) -> None:
        """Stop comparing, and end the thread."""
        self.begin(None)
        self._background.end()

    def follow(self) -> bool:
        """Compare again if the session is at another step; return whether it is."""
        session = self._session
        step = None if session is None else session.document.step
        moved = step is not self._step
        if moved:
            self._step, self._was_painted, self.ripple = step, True, None
            if (
                session is not None
                and session.document.adapted is not None
                and not self._timer.isActive()
            ):
                self._timer.start(_SOON)
        self._compare_last_tiles()
        return moved

    def leave_out(self, region: Region, found: Ripple) -> Ripple:
        """Return a ripple without a judged region, and keep it until the maps are compared again.

        So the other regions can be judged at once.
        """
        others = tuple(other for other in found.regions if other != region)
        self.ripple = replace(found, regions=others, changed=found.changed - region.area)
        return self.ripple

    def _compare_last_tiles(self) -> None:
        """Compare again once the maps are complete, if the last comparison was earlier."""
        lacks = self._was_dropped or (self.ripple is not None and self.ripple.missing > 0)
        if lacks and not self._background.running and self._is_complete():
            left = self._timer.remainingTime()
            if not 0 <= left <= _SOON:
                self._timer.start(_SOON)

    def _is_complete(self) -> bool:
        """Whether both maps are computed as a whole."""
        session = self._session
        return session is not None and all(
            session.map_state.up_to_date(name) == 1.0 for name in ("disir", "disca")
        )

    def _on_painted(self, patch: Patch) -> None:
        session = self._session
        if session is None or session.document.adapted is None or patch.map == "initial":
            return
        self._was_painted = True
        if not self._background.running and not self._timer.isActive():
            self._timer.start(_SOON)

    def _start(self) -> None:
        session = self._session
        if session is None or session.document.adapted is None or self._background.running:
            return
        self._was_painted = self._was_dropped = False
        self._compared_step = session.document.step
        self._began = time.monotonic()
        job = session.proposals.ripple(_LEAST, session.viewport.window)
        self._background.start(job, self._on_compared)

    def _on_progress(self, event: object) -> None:
        if isinstance(event, RippleSoFar) and self.ripple is None and self._session is not None:
            self.listed.emit(event.regions)

    def _on_compared(self, found: Ripple) -> None:
        complete = self.ripple is not None and not self.ripple.missing
        if complete and (found.missing or self._compared_step is not self._step):
            # A verdict leaves the other regions as they were: they can be judged meanwhile.
            self._was_dropped = True
            return
        self.ripple = found
        self.found.emit(found)

    def _on_finished(self) -> None:
        if self._was_painted:
            took = 1000 * (time.monotonic() - self._began)
            rest = 0 if self._is_complete() else _REST * took
            self._timer.start(int(max(_SOON, rest)))
        else:
            self._compare_last_tiles()
