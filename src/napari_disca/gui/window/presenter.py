"""Shows the state of a session in the panels, and why a button is disabled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from superqt.utils import qthrottled

from napari_disca.annotations.clicks import Clicks
from napari_disca.gui.panels.correction.compare_panel import difference
from napari_disca.gui.panels.correction.refine_panel import LONG, unbroken_duration
from napari_disca.gui.panels.parts.buttons import set_enabled
from napari_disca.gui.viewer.colours.class_colours import (
    first_colours,
    is_safe,
    shown_classes,
    warning,
)
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.session.steps.class_table import ClassTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_disca.core.events import Progress
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.tasks.estimates import Estimates
    from napari_disca.gui.tasks.opening.image_choice import ImageChoice
    from napari_disca.gui.window.layout import Panels
    from napari_disca.session.session import Session

_WORKING = "wait until it is done, or cancel"
_MAPLESS = "there is no map yet: press Segment"
#: Milliseconds between two updates of the progress: each lays out the panel and redraws the window.
_TELL = 200


class Presenter(QObject):
    """Shows the state of a control in the panels.

    Parameters
    ----------
    panels : Panels
    control : Control
    choice : ImageChoice
    estimates : Estimates
    session_of_choice : callable
        Returns the session of the chosen image, or None.
    parent : QObject
    """

    def __init__(
        self,
        panels: Panels,
        control: Control,
        choice: ImageChoice,
        estimates: Estimates,
        session_of_choice: Callable[[], Session | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._panels, self._control, self._choice = panels, control, choice
        self._session, self._estimates = session_of_choice, estimates
        panels.refine.estimate = estimates.left
        self._tell_progress = qthrottled(self._show_progress, timeout=_TELL, parent=self)
        control.progressed.connect(self._on_progress)

    def show(self) -> None:
        """Update all panels."""
        session = self._session()
        clicks = session.document.clicks if session is not None else Clicks()
        maps = session.maps if session is not None else {}
        drawn = {name: name in maps and bool(maps[name].levels[-1].any()) for name in TITLES}
        self._enable(session, clicks, drawn)
        self._show_session(session)
        adapted = session is not None and session.document.adapted is not None
        for name, action in self._panels.refine.saves.items():
            action.setEnabled(drawn[name] and (adapted or name != "disca"))
        self.show_status()
        self._show_classes(session, clicks)
        layers = self._control.layers
        self._panels.compare.show_state(
            bool(drawn["disir"]),
            session is not None and layers is not None and layers.comparing,
            difference(session) if session is not None and drawn["disir"] else "",
        )

    def _enable(self, session: Session | None, clicks: Clicks, drawn: dict[str, bool]) -> None:
        """Enable the buttons that can do something; the tooltips of the others say why not."""
        control = self._control
        adapted = session is not None and session.document.adapted is not None
        nothing = "" if self._choice.may_be_opened else "open an image and choose a network"
        clickless = nothing or ("" if len(clicks) else "there are no clicks")
        mapless = nothing or ("" if drawn["disir"] else _MAPLESS)
        self._panels.refine.enable(
            segment=nothing or ("the network is learning" if session and control.learning else ""),
            adapt=clickless or (_WORKING if control.learning else ""),
            cancel="" if control.busy else "nothing runs",
            undo=""
            if session is not None and session.document.can_undo
            else "nothing was done yet",
            redo="" if session is not None and session.document.can_redo else "nothing was undone",
            reset="" if adapted else "the network is not adapted",
            save_labels=("" if any(drawn.values()) else _MAPLESS)
            or (_WORKING if control.busy else ""),
            save_clicks=clickless,
            load_clicks=nothing,
            doubtful=mapless,
        )
        times = self._estimates
        self._panels.refine.show_durations(
            segment=None if drawn["disir"] else times.segment(),
            adapt=times.adapt(),
            save_labels=times.save(),
        )
        self._enable_view("" if self._choice.may_be_opened else "open an image", mapless)
        locked = "" if session is not None and session.document.locks else "no area is locked"
        self._panels.locks.enable(
            draw=mapless, view=mapless, unlock=locked, save=locked, load=mapless
        )

    def _enable_view(self, imageless: str, mapless: str) -> None:
        """Enable the buttons about the view where there is an image or a map."""
        reasons = {"go_to": imageless, **dict.fromkeys(("hide", "style", "uncertainty"), mapless)}
        for name, reason in reasons.items():
            tooltip = self._panels.refine.verbs[name].tooltip
            set_enabled(self._panels.view_buttons[name], tooltip, reason)

    def _show_session(self, session: Session | None) -> None:
        """Show the history and how much is locked."""
        panels = self._panels
        panels.history.setVisible(session is not None)
        if session is None:
            panels.history.show_steps((), 0)
            panels.ripple.setVisible(False)
            panels.locks.show_counts(0, 0, 0, False)
            return
        panels.history.show_steps(session.document.history, session.document.position)
        adapted = session.document.adapted is not None
        panels.ripple.setVisible(adapted)
        locked, flipped = session.lock_counts()
        panels.locks.show_counts(len(session.document.locks), locked, flipped, adapted)

    def _show_classes(self, session: Session | None, clicks: Clicks) -> None:
        card = self._choice.card
        if card is None:
            return
        if session is not None:
            table, classes = session.document.class_table, shown_classes(session)
        else:
            table, classes = ClassTable.of(card.classes), first_colours(card.classes)
        self._panels.classes.show_classes(classes, clicks, table)
        verb = "Network's colours" if is_safe(classes) else "Safer colours"
        distinct = [classes[e.id] for e in table.entries if table.target(e) == e.id]
        self._panels.classes.show_warning(warning(card.classes, distinct), verb)

    # ------------------------------------------------------------------ progress

    def _on_progress(self, progress: Progress) -> None:
        self._tell_progress(progress)
        if progress.total <= 0:
            self._tell_progress.flush()  # at the end the last state must not wait

    def _show_progress(self, progress: Progress) -> None:
        self._panels.refine.show_progress(progress)
        self.show_status()

    def show_status(self) -> None:
        """Show the message about the last action, and how much of the maps is computed."""
        refine = self._panels.refine
        status = self.status()
        refine.status.setText(status)
        refine.status.setVisible(bool(status))
        refine.show_at_rest(self.progress())

    def progress(self) -> str:
        """Return how much of the maps is up to date, in one line."""
        session = self._session()
        if session is None or (session.must_learn and not self._control.busy):
            return ""
        near = session.map_state.up_to_date("disir")
        if session.document.adapted is not None:
            whole = session.map_state.up_to_date("disca")
            if near == whole == 1.0:
                return "Both maps are up to date"
            return f"Near clicks {percent(near)} up to date, whole image {percent(whole)}"
        fresh = "The map is up to date" if near == 1.0 else f"{percent(near)} of the map is done"
        if len(session.document.clicks):
            fresh += f"; not adapted yet{_takes(self._estimates.adapt())}"
        return fresh

    def status(self) -> str:
        """Return the message about the last action, or the next thing to do."""
        session, control = self._session(), self._control
        said = control.message.text[:1].upper() + control.message.text[1:]
        if names := control.pending.files():
            return f"Examining {', '.join(names)}; Cancel stops it"
        if control.pending.examination is not None:
            return f"Examining {self._choice.name}; Cancel stops it"
        if control.pending.opening is not None:
            return "Loading the network"
        if session is None:
            takes = _takes(self._estimates.segment())
            segment = f"Press Segment to compute the first map{takes}"
            return segment if self._choice.may_be_opened else ""
        if session.must_learn and not control.busy:
            text = "What Adapt learned from has changed; press Segment to adapt again"
            return f"{said}\n{text}" if said else text
        return said


def _takes(seconds: float | None) -> str:
    """Return how long something will take, in brackets; empty if short or not known."""
    if seconds is None or seconds < LONG:
        return ""
    return f" (about {unbroken_duration(seconds)})"


def percent(share: float) -> str:
    """Return a share in per cent, rounded down: 100 % means all."""
    return f"{math.floor(100 * share)} %"
