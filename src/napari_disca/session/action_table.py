"""The table that a journal is read by: every kind of step."""

from __future__ import annotations

from napari_disca.session.actions import Adopt, ChangeClicks, LockAreas, ResetNetwork, Unlock
from napari_disca.session.class_table import SetClasses
from napari_disca.session.drawing import Draw
from napari_disca.session.review_marks import MarkPlace
from napari_disca.session.steps import Action
from napari_disca.session.verdicts import Judge, KeepNear, SetStrength

#: What the journal calls a step -> its class.
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
