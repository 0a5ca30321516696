"""The table of all kinds of steps, by which a journal is read."""

from __future__ import annotations

from napari_disca.session.steps.actions import Adopt, ChangeClicks, LockAreas, ResetNetwork, Unlock
from napari_disca.session.steps.class_table import SetClasses
from napari_disca.session.steps.draw_action import Draw
from napari_disca.session.steps.review_marks import MarkPlace
from napari_disca.session.steps.steps import Action
from napari_disca.session.steps.verdicts import Judge, KeepNear, SetStrength

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
