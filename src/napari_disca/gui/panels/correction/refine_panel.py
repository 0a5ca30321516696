"""Buttons of the session's verbs, the form of the recipe, and the progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_disca.core import pace
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Progress
from napari_disca.core.pace import Pace
from napari_disca.core.typed_values import text_of
from napari_disca.gui.panels.correction.form import form_of, read_form
from napari_disca.gui.panels.parts.buttons import set_enabled
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.keys.verbs import BY_NAME
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.recipes import RECIPES, Recipe, check_fields

#: Verbs of `viewer.verbs` that have a button here; `layout` puts the buttons into the sections.
_BUTTONS = (
    "segment",
    "adapt",
    "cancel",
    "undo",
    "redo",
    "reset",
    "save_labels",
    "save_clicks",
    "load_clicks",
    "doubtful",
)
_PRECISION = (
    "Number format of the network. bfloat16 is about twice as fast where the processor has "
    "it, and may give another class in up to 0.5 % of the pixels than float32; auto takes "
    "it where it is faster. The map is computed again"
)
#: Remaining seconds below which none are shown.
_SHORT = 1.0
_DISK = (
    "Disk space for features of the image that do not fit in memory; a large map is then "
    "redone faster. A tile of 512 × 512 pixels takes about 15 MB"
)


#: Least seconds of work whose duration is announced beforehand.
LONG = 5.0


class RefinePanel(QWidget):
    """The buttons of a session's verbs, the recipe with its settings, and the progress.

    Signals are named after the verbs: ``adapt(Recipe)``, ``save_labels(map)``; ``refused(str)``
    when a setting of the recipe is impossible. ``precision`` and ``disk`` show settings of the
    user.
    """

    segment = Signal()
    adapt = Signal(object)
    cancel = Signal()
    undo = Signal()
    redo = Signal()
    reset = Signal()
    save_labels = Signal(str)
    save_clicks = Signal()
    load_clicks = Signal()
    doubtful = Signal()
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        self.verbs: Mapping[str, Verb] = BY_NAME
        for name in _BUTTONS:
            button = QPushButton(self.verbs[name].title)
            self.buttons[name] = button
            if name not in ("adapt", "save_labels"):
                button.clicked.connect(getattr(self, name).emit)
        self.buttons["adapt"].clicked.connect(self._adapt)
        self._maps = QMenu(self)
        self.saves = {
            name: not_none(self._maps.addAction(f"{TITLES[name]}…")) for name in reversed(TITLES)
        }
        for name, action in self.saves.items():
            action.setData(name)
        self._maps.triggered.connect(lambda action: self.save_labels.emit(action.data()))
        self.buttons["save_labels"].clicked.connect(self._offer_maps)

        self.recipes = _recipe_box()
        self.advanced = _fold_button()
        self.precision = QComboBox()
        self.precision.addItems(("auto", "float32", "bfloat16"))
        self.precision.setToolTip(_PRECISION)
        self.disk = QSpinBox()
        self.disk.setRange(0, 1000)
        self.disk.setSuffix(" GB")
        self.disk.setSpecialValueText("none")
        self.disk.setToolTip(_DISK)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(self.fontMetrics().height() // 2)
        self.bar.setAccessibleName("Progress")
        self.stage = QLabel(" ")
        self.status = QLabel()
        for label in (self.stage, self.status):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.undo_button = QPushButton()
        self.undo_button.setAccessibleName("Undo the last step")
        self.message = QWidget()
        self._lay_out()

        self.advanced.toggled.connect(self._unfold)
        self.recipes.currentTextChanged.connect(self._show_form)
        self._show_form(self.recipes.currentText())
        self._pace = Pace()
        self._at_rest = " "
        #: Returns the seconds left of the running work, from its progress and its pace so far.
        self.estimate: Callable[[Progress, float | None], float | None] = lambda _, left: left

    def _lay_out(self) -> None:
        message = QHBoxLayout(self.message)
        message.setContentsMargins(0, 0, 0, 0)
        message.addWidget(self.status, 1)
        message.addWidget(self.undo_button, 0, Qt.AlignmentFlag.AlignTop)
        self._holder = QWidget()
        self._holder.setVisible(False)
        self._holder_layout = QVBoxLayout(self._holder)
        self._holder_layout.setContentsMargins(0, 0, 0, 0)
        self._holder_layout.setSpacing(0)
        form = QHBoxLayout()
        form.addWidget(QLabel("Recipe"))
        form.addWidget(self.recipes, 1)
        form.addWidget(self.advanced)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self._holder)

    def recipe(self) -> Recipe:
        """Return the recipe with the values of the form.

        Raises
        ------
        RecipeError
            If a value is impossible.
        """
        recipe = read_form(self._form, RECIPES[self.recipes.currentText()])
        check_fields(recipe)
        return recipe

    def enable(self, **reasons: str) -> None:
        """Enable buttons by name, or disable them for a reason, which their tooltips then give."""
        for name, reason in reasons.items():
            set_enabled(self.buttons[name], self.verbs[name].tooltip, reason)

    def show_durations(self, **seconds: float | None) -> None:
        """Add to the tooltips of enabled buttons how long their work will take, if it is long."""
        for name, taken in seconds.items():
            button = self.buttons[name]
            if button.isEnabled() and taken is not None and taken >= LONG:
                button.setToolTip(
                    f"{button.toolTip()}.\nAbout {unbroken_duration(taken)} on this machine"
                )

    def show_progress(self, progress: Progress) -> None:
        """Move the bar; show the stage and the remaining time."""
        if progress.total <= 0:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.stage.setText(self._at_rest)
            self._pace = Pace()
            return
        now = time.monotonic()
        self._pace.see(progress, now)
        # Or each call would repaint the whole window at once.
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        self.bar.setUpdatesEnabled(True)
        text = f"{progress.stage.capitalize()} · {progress.done} of {progress.total}"
        left = self.estimate(progress, self._pace.left(progress, now))
        if left is not None and left >= _SHORT:
            text += f" · about {unbroken_duration(left)} left"
        self.stage.setText(text)

    def show_at_rest(self, line: str) -> None:
        """Show a line in place of the progress while nothing runs."""
        self._at_rest = line or " "  # so that the panel keeps its height
        if not self._pace.stage:
            self.stage.setText(self._at_rest)

    def _offer_maps(self) -> None:
        if not any(action.isEnabled() for action in self.saves.values()):
            return
        button = self.buttons["save_labels"]
        self._maps.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _adapt(self) -> None:
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
        for setting in (self.precision, self.disk):
            setting.setParent(None)  # or they would be deleted with the rows
        while self._holder_layout.count():
            old = not_none(not_none(self._holder_layout.takeAt(0)).widget())
            old.setParent(None)
            old.deleteLater()
        self.recipes.setToolTip(f"How Adapt learns from the clicks: {_summary(RECIPES[name])}")
        self._form = form_of(RECIPES[name])
        rows = QWidget()
        aligned = QFormLayout(rows)
        aligned.setContentsMargins(12, 0, 0, 0)
        aligned.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for row in self._form:
            label = QLabel(row.label)
            label.setToolTip(row.tooltip)
            aligned.addRow(label, row.native)
        for title, setting in (("Precision", self.precision), ("Features on disk", self.disk)):
            label = QLabel(title)
            label.setToolTip(setting.toolTip())
            aligned.addRow(label, setting)
        self._holder_layout.addWidget(rows)


def _recipe_box() -> QComboBox:
    """Return the box of recipes that learn, with their settings as tooltips."""
    box = QComboBox()
    box.setAccessibleName("Recipe")
    for name, recipe in RECIPES.items():
        if recipe.learns:
            box.addItem(name, name)
            box.setItemData(box.count() - 1, _summary(recipe), Qt.ItemDataRole.ToolTipRole)
    box.setCurrentText("default")
    return box


def _fold_button() -> QToolButton:
    button = QToolButton()
    button.setText("Advanced")
    button.setToolTip("The settings of the recipe, precision and disk")
    button.setCheckable(True)
    button.setArrowType(Qt.ArrowType.RightArrow)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setAutoRaise(True)
    return button


def _summary(recipe: Recipe) -> str:
    """What a recipe does, and its settings as the form names them."""
    settings = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        label = field.metadata.get("label", field.name.replace("_", " "))
        settings.append(f"{label}: {text_of(value)}")
    return f"{recipe.title} ({'; '.join(settings)})"


def unbroken_duration(seconds: float) -> str:
    """Return a duration in words; a line does not end between number and unit."""
    return pace.duration(seconds).replace(" ", "\N{NO-BREAK SPACE}")
