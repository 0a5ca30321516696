"""Switches the maps side by side, and says how much they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from napari_disca.gui.panels.parts.styles import EXPLAINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_disca.session.session import Session


class ComparePanel(QWidget):
    """A switch for the two views, and a line about the difference of the maps.

    Signals: ``switched(bool)``.
    """

    switched = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = QCheckBox("Compare near clicks with whole image")
        self.figure = QLabel()
        self.figure.setWordWrap(True)
        self.figure.setStyleSheet(EXPLAINS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.switch)
        layout.addWidget(self.figure)
        self.switch.toggled.connect(self.switched)

    def show_state(self, possible: bool, on: bool, difference: str) -> None:
        """Show whether the views are on, whether they are possible, and how the maps differ."""
        self.switch.setEnabled(possible)
        tip = (
            "Two linked views: left the map corrected near clicks (DISIR), right the one corrected "
            "in the whole image (DISCA); click in either"
        )
        if not possible:
            tip = "There is no map yet: press Segment"
        elif difference:
            tip += f".\n{difference}"
        self.switch.setToolTip(tip)
        self.switch.blockSignals(True)
        self.switch.setChecked(on)
        self.switch.blockSignals(False)
        self.figure.setText(difference)
        # Shown only then, so that the panel fits a low screen; the tooltip says it as well.
        self.figure.setVisible(on and bool(difference))


def difference(session: Session) -> str:
    """Return how DISIR's and DISCA's maps differ, in one line; counted on their coarsest level.

    Parameters
    ----------
    session : Session
    """
    if session.document.adapted is None:
        return "Until you adapt, both are the same map"
    disir, disca = (session.maps[name].levels[-1] for name in ("disir", "disca"))
    return _said(np.asarray(disir), np.asarray(disca), [c.name for c in session.document.classes])


def _said(disir: NDArray[np.uint8], disca: NDArray[np.uint8], names: Sequence[str]) -> str:
    both = (disir > 0) & (disca > 0)
    if not both.any():
        return ""
    count = len(names) + 1
    pairs = np.bincount(disir[both].astype(np.intp) * count + disca[both], minlength=count**2)
    pairs = pairs.reshape(count, count)
    np.fill_diagonal(pairs, 0)
    if not pairs.any():
        return "They are the same everywhere"
    total = int(both.sum())
    text = f"They differ in {100 * pairs.sum() / total:.1f} % of the pixels"
    before, after = divmod(int(pairs.argmax()), count)
    share = pairs[before, after] / total
    return f"{text}, most of all {names[before - 1]} → {names[after - 1]} ({100 * share:.1f} %)"
