"""The table of all kinds of steps, by which a journal is read."""

from __future__ import annotations

from napari_disca.session.actions import Adopt, ChangeClicks, LockAreas, ResetNetwork, Unlock
from napari_disca.session.class_table import SetClasses
from napari_disca.session.draw_action import Draw
from napari_disca.session.review_marks import MarkPlace
from napari_disca.session.steps import Action
from napari_disca.session.verdicts import Judge, KeepNear, SetStrength

#: Class of each step by its name in the journal.
ACTIONS: dict[str, type[Action]] = {
    action.kind: action
    for action in (
        ChangeClicks,
        Adopt,
        ResetNetwork,
        LockAreas,
        Unlock,
        Judge,
        KeepNear,
        SetStrength,
        SetClasses,
        Draw,
        MarkPlace,
    )
}
