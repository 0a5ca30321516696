"""The work that the sample opens with: some clicks and one adaptation, or what was done last time.

So history, the list of changes and the comparison have something to show at once. It is real work:
journaled beside the scene, and undone like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: Mistakes of the usual network in the temperate scene of seed 0: row, column, what is there.
CLICKS = (
    (214, 374, "land"),
    (543, 1401, "vegetation"),
    (1044, 1334, "land"),
    (1007, 5, "land"),
    (246, 179, "land"),
)


def begin_sample(panel: Any) -> None:
    """Go on with the journal of the sample, or begin one with clicks and an adaptation.

    Parameters
    ----------
    panel : DiscaWidget
        In which the sample is chosen.
    """
    panel.choice.when_settled(lambda: _begin_settled(panel))


def _begin_settled(panel: Any) -> None:
    from napari_disca.core.errors import DiscaError
    from napari_disca.session.journal_paths import find_journals

    try:
        found = find_journals(panel.control.chosen)
    except (DiscaError, OSError):
        found = []
    if found and not _is_open(found[0]):
        panel.opening.go_on(found[0])
    elif found:
        panel.segment()  # it is open in another window
    else:
        panel.opening.with_session(lambda: _begin(panel))


def _is_open(journal: Path) -> bool:
    from napari_disca.session.journal_lock import holder

    return bool(holder(journal))


def _begin(panel: Any) -> None:
    """Click at once; adapt when the first map is drawn, unless the user was quicker."""
    control = panel.control
    session = control.session
    labels = {land.name: label for label, land in enumerate(session.classes)}
    if not session.can_undo and {name for *_, name in CLICKS} <= set(labels):
        for row, col, name in CLICKS:
            session.click(row, col, labels[name])
        clicks = session.clicks

        def adapt() -> None:
            if control.session is not session or session.clicks != clicks:
                control.changed.disconnect(adapt)
            elif not control.busy and session.up_to_date("disir") == 1.0:
                control.changed.disconnect(adapt)
                panel.refine_panel.buttons["adapt"].click()

        control.changed.connect(adapt)
    control.segment()
