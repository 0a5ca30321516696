"""Opens the sample with some clicks and one adaptation, or with the work of last time.

So history, ripple and comparison have something to show at once. It is a usual session: its
journal lies beside the scene, and its steps can be undone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_disca.annotations.clicks import Click
from napari_disca.gui.toolkit.not_none import not_none

if TYPE_CHECKING:
    from napari_disca.gui.window.widget import DiscaWidget
    from napari_disca.session.session import Session

#: Mistakes of the default network in the temperate scene of seed 0: row, column, right class.
CLICKS = (
    (214, 374, "land"),
    (543, 1401, "vegetation"),
    (1044, 1334, "land"),
    (1007, 5, "land"),
    (246, 179, "land"),
)


def begin_sample(panel: DiscaWidget) -> None:
    """Continue the journal of the sample, or begin one with clicks and an adaptation.

    Parameters
    ----------
    panel : DiscaWidget
        In which the sample is chosen.
    """
    panel.choice.when_settled(lambda: _begin_settled(panel))


def _begin_settled(panel: DiscaWidget) -> None:
    from napari_disca.core.errors import DiscaError
    from napari_disca.session.journal.journal_paths import find_journals

    chosen = panel.control.chosen
    try:
        found = find_journals(chosen) if chosen is not None else []
    except (DiscaError, OSError):
        found = []
    if found and not _is_open(found[0]):
        _go_on(panel, found[0])
    elif found:
        panel.segment()  # it is open in another window
    else:
        panel.opening.with_session(lambda: _begin(panel))


def _is_open(journal: Path) -> bool:
    from napari_disca.session.journal.journal_lock import holder

    return bool(holder(journal))


def _begin(panel: DiscaWidget) -> None:
    """Make the clicks at once, and adapt when the first map is computed."""
    control = panel.control
    session = not_none(control.session)
    clicks = _clicks(session)
    if clicks and not session.document.can_undo:
        for click in clicks:
            session.document.click(click.row, click.col, click.label)
        _adapt_once_drawn(panel)
    control.segment()


def _clicks(session: Session) -> list[Click]:
    """Return the sample's clicks; none if the network has other classes."""
    labels = {land.name: label for label, land in enumerate(session.document.classes)}
    if not {name for *_, name in CLICKS} <= set(labels):
        return []
    return [Click(row, col, labels[name]) for row, col, name in CLICKS]


def _go_on(panel: DiscaWidget, journal: Path) -> None:
    """Continue a journal; adapt if the window was closed before the adaptation."""
    control = panel.control

    def look() -> None:
        session = control.session
        if (
            session is None
            or session.document.journal is None
            or session.document.journal.path != journal
        ):
            return
        control.changed.disconnect(look)
        kinds = {step.kind for step in session.document.history[1:]}
        begun = not session.document.can_redo and kinds == {"clicks"}
        if begun and list(session.document.clicks) == _clicks(session):
            _adapt_once_drawn(panel)

    control.changed.connect(look)
    panel.opening.go_on(journal)


def _adapt_once_drawn(panel: DiscaWidget) -> None:
    """Press *Adapt* when the map is computed, unless the user has done something else by then."""
    control = panel.control
    session = not_none(control.session)
    clicks = session.document.clicks

    def adapt() -> None:
        if control.session is not session or session.document.clicks != clicks:
            control.changed.disconnect(adapt)
        elif not control.busy and session.map_state.up_to_date("disir") == 1.0:
            control.changed.disconnect(adapt)
            panel.refine_panel.buttons["adapt"].click()

    control.changed.connect(adapt)
