"""Segment, adapt, take back, save; and how far the work is."""

from __future__ import annotations

import time
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_disca.events import Progress
from napari_disca.gui.form import form_of, read_form
from napari_disca.recipes import RECIPES, Recipe


class RefinePanel(QWidget):
    """The verbs of a session as buttons.

    Signals are named after the verbs.
    """

    segment = Signal()
    adapt = Signal(object)
    cancel = Signal()
    undo = Signal()
    redo = Signal()
    reset = Signal()
    save_labels = Signal()
    save_clicks = Signal()
    load_clicks = Signal()
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        tips = {
            "segment": ("Segment", "Draw the network's map of the whole image"),
            "adapt": ("Adapt", "Learn from all clicks and correct the whole map (DISCA)"),
            "cancel": ("Cancel", "Stop what runs; what is finished stays"),
            "undo": ("Undo", "Take back the last click or adaptation (Ctrl+Z)"),
            "redo": ("Redo", "Do again what was taken back (Ctrl+Shift+Z)"),
            "reset": ("Reset network", "Forget what was adapted; the clicks stay"),
            "save_labels": ("Save labels…", "Write a map as GeoTIFF"),
            "save_clicks": ("Save clicks…", "Write the clicks as GeoJSON"),
            "load_clicks": ("Load clicks…", "Add the clicks of a GeoJSON file"),
        }
        grid = QGridLayout()
        places = {
            "segment": (0, 0),
            "adapt": (0, 1),
            "cancel": (0, 2),
            "undo": (1, 0),
            "redo": (1, 1),
            "reset": (1, 2),
            "save_labels": (2, 0),
            "save_clicks": (2, 1),
            "load_clicks": (2, 2),
        }
        for name, (text, tip) in tips.items():
            button = QPushButton(text)
            button.setToolTip(tip)
            self.buttons[name] = button
            grid.addWidget(button, *places[name])
            if name != "adapt":
                button.clicked.connect(getattr(self, name).emit)
        self.buttons["adapt"].clicked.connect(self._adapt)

        self.recipes = QComboBox()
        for name, recipe in RECIPES.items():
            if recipe.learns:
                self.recipes.addItem(name, name)
        self.recipes.setCurrentText("default")
        self.recipes.setToolTip("How Adapt learns from the clicks")
        self.advanced = QToolButton()
        self.advanced.setText("Advanced")
        self.advanced.setCheckable(True)
        self.advanced.setArrowType(Qt.ArrowType.RightArrow)
        self.advanced.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.advanced.setAutoRaise(True)
        self._holder = QWidget()
        self._holder.setVisible(False)
        self._holder_layout = QVBoxLayout(self._holder)
        self._holder_layout.setContentsMargins(0, 0, 0, 0)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.stage = QLabel(" ")
        self.status = QLabel()
        self.status.setWordWrap(True)

        form = QFormLayout()
        form.addRow("Recipe", self.recipes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addLayout(form)
        layout.addWidget(self.advanced)
        layout.addWidget(self._holder)
        layout.addWidget(self.bar)
        layout.addWidget(self.stage)
        layout.addWidget(self.status)

        self.advanced.toggled.connect(self._unfold)
        self.recipes.currentTextChanged.connect(self._show_form)
        self._show_form(self.recipes.currentText())
        self._began: tuple[str, float, int] = ("", 0.0, 0)

    def recipe(self) -> Recipe:
        """The recipe as the form has it.

        Raises
        ------
        RecipeError
            If a field is impossible.
        """
        return read_form(self._form, RECIPES[self.recipes.currentText()])

    def enable(self, **able: bool) -> None:
        """Enable buttons by name."""
        for name, yes in able.items():
            self.buttons[name].setEnabled(yes)

    def show_progress(self, progress: Progress) -> None:
        """Move the bar; say the stage and the remaining time."""
        if progress.total <= 0:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.stage.setText(" ")
            self._began = ("", 0.0, 0)
            return
        now = time.monotonic()
        if self._began[0] != progress.stage or progress.done < self._began[2]:
            self._began = (progress.stage, now, progress.done)
        stage, began, first = self._began
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        text = f"{stage.capitalize()}: {progress.done} of {progress.total}"
        worked = progress.done - first
        if worked and now - began > 1:
            left = (now - began) / worked * (progress.total - progress.done)
            text += f", about {_duration(left)} left"
        self.stage.setText(text)

    def _adapt(self) -> None:
        from napari_disca.errors import RecipeError

        try:
            recipe = self.recipe()
        except RecipeError as error:
            self.refused.emit(str(error))
            return
        self.adapt.emit(recipe)

    def _unfold(self, on: bool) -> None:
        self.advanced.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self._holder.setVisible(on)

    def _show_form(self, name: str) -> None:
        while self._holder_layout.count():
            old = self._holder_layout.takeAt(0).widget()
            old.setParent(None)
            old.deleteLater()
        self._form: Any = form_of(RECIPES[name])
        rows = QWidget()
        aligned = QFormLayout(rows)
        aligned.setContentsMargins(12, 0, 0, 0)
        for row in self._form:
            aligned.addRow(row.label, row.native)
        self._holder_layout.addWidget(rows)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
