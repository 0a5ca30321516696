"""Arranges the panels of a session in sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtWidgets import QAbstractButton, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.panels.correction.classes_panel import ClassesPanel
from napari_disca.gui.panels.correction.compare_panel import ComparePanel
from napari_disca.gui.panels.correction.draw_panel import DrawPanel
from napari_disca.gui.panels.correction.history_panel import HistoryPanel
from napari_disca.gui.panels.correction.locks_panel import LocksPanel
from napari_disca.gui.panels.correction.refine_panel import RefinePanel
from napari_disca.gui.panels.parts.sections import Section
from napari_disca.gui.panels.review.review_bar import ReviewBar
from napari_disca.gui.panels.review.review_queue import ReviewQueue
from napari_disca.gui.panels.review.ripple_panel import RipplePanel
from napari_disca.gui.viewer.keys.verb import GROUPS
from napari_disca.gui.viewer.keys.verbs import BY_NAME


class Panels:
    """The panels of a session, and the sections in which they stand.

    Parameters
    ----------
    image_panel : QWidget
        The fields for image and network.
    view_buttons : mapping of str to QPushButton
        Buttons of verbs about the view; those of help are put at the foot.

    Attributes
    ----------
    sections : dict of str to Section
    view_buttons : mapping of str to QPushButton
    """

    def __init__(self, image_panel: QWidget, view_buttons: Mapping[str, QPushButton]) -> None:
        self.classes = ClassesPanel()
        self.refine = RefinePanel()
        self.draw = DrawPanel()
        self.compare = ComparePanel()
        self.ripple = RipplePanel()
        self.history = HistoryPanel()
        self.locks = LocksPanel()
        self.review = ReviewBar()
        self.queue = ReviewQueue()
        self.view_buttons = view_buttons
        self.sections = {name: Section(name) for name in GROUPS if name != "Help"}
        self._progress = (self.refine.bar, self.refine.stage, self.refine.message)
        self._foot = [b for name, b in view_buttons.items() if BY_NAME[name].group == "Help"]
        # *Overlay* stands with the image: another row here would not fit 800 px.
        view = [b for n, b in view_buttons.items() if b not in self._foot and n != "overlay"]
        parts, refine, locks = self.sections, self.refine, self.locks
        parts["Image"].add(image_panel)
        parts["Image"].add_buttons(b for n, b in view_buttons.items() if n == "overlay")
        parts["Map"].add_buttons([refine.buttons["segment"], refine.buttons["cancel"], *view])
        parts["Map"].add(self.compare)
        parts["Correct"].add(self.classes, self.draw)
        parts["Correct"].add_buttons([refine.buttons[n] for n in ("adapt", "undo", "redo")])
        parts["Correct"].add(self.ripple, refine, self.history)
        parts["Review"].add_buttons(
            [
                refine.buttons["doubtful"],
                self.review.buttons["next_tile"],
                *(locks.buttons[n] for n in ("draw", "view", "unlock")),
            ]
        )
        parts["Review"].add(self.review, self.queue, locks)
        parts["Deliver"].add_buttons(
            [
                *(refine.buttons[n] for n in ("save_labels", "save_clicks", "load_clicks")),
                *(locks.buttons[n] for n in ("save", "load")),
                self.draw.save_button,
                self.review.buttons["save_review"],
                refine.buttons["reset"],
            ]
        )

    def buttons(self) -> dict[str, QAbstractButton]:
        """Buttons by the names of their verbs."""
        drawing, locks = self.draw.verb_buttons(), self.locks.verb_buttons()
        review = self.review.buttons
        return {**self.refine.buttons, **drawing, **locks, **review, **self.ripple.buttons}

    def show_sections(self, on: bool) -> None:
        """Show sections and progress, or hide them while there is no image."""
        for part in (*self.sections.values(), *self._progress):
            part.setVisible(on)

    def body(self, start: QWidget, banner: QWidget) -> QWidget:
        """Return the body of the panel: all sections below each other.

        Parameters
        ----------
        start : QWidget
            Shown while there is no image.
        banner : QWidget
            Offers to continue an earlier session.
        """
        # Progress stands outside the sections, so that it is seen when they are folded.
        parts = self.sections
        return _column(
            [start, parts["Image"], banner, parts["Map"], *self._progress]
            + [parts[name] for name in ("Correct", "Review", "Deliver")],
            self._foot,
        )


def _column(widgets: Sequence[QWidget], foot: Sequence[QPushButton]) -> QWidget:
    body = QWidget()
    layout = QVBoxLayout(body)
    layout.setContentsMargins(6, 4, 6, 4)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    row = QHBoxLayout()
    row.addStretch(1)
    for button in foot:
        button.setFlat(True)
        row.addWidget(button)
    layout.addLayout(row)
    return body
