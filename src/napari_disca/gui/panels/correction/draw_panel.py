"""Chooses the drawing tool, its size, the classes that it draws over, and whether it teaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_disca.annotations.strokes import LARGEST
from napari_disca.gui.panels.parts.buttons import set_enabled
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.keys.verbs import BY_NAME
from napari_disca.networks import LandClass

_TOOLS = {"click": "Click", "brush": "Brush", "polygon": "Polygon", "lasso": "Lasso"}
_ALL = "Over all classes"


class DrawPanel(QWidget):
    """The buttons of the drawing tools, and their settings.

    Signals: ``chosen(tool)``; ``sized(radius)`` in pixels of the image; ``save()``.
    """

    chosen = Signal(str)
    sized = Signal(int)
    save = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verbs: Mapping[str, Verb] = BY_NAME
        self.tools: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(4)
        for name, text in _TOOLS.items():
            button = self.tools[name] = QPushButton(text)
            button.setCheckable(True)
            button.setAccessibleName(f"Draw with: {text}" if name != "click" else "Click")
            self._group.addButton(button)
            button.clicked.connect(lambda _, name=name: self.chosen.emit(name))
            row.addWidget(button)
        self.tools["click"].setChecked(True)
        self.radius = QSpinBox()
        self.radius.setRange(0, int(LARGEST))
        self.radius.setPrefix("radius ")
        self.radius.setSuffix(" px")
        self.radius.setSpecialValueText("radius")
        self.radius.setKeyboardTracking(False)
        self.radius.setAccessibleName("Radius of the brush in pixels of the image")
        self.radius.valueChanged.connect(self.sized)
        self.over = QToolButton()
        self.over.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.over.setText(_ALL)
        room = self.fontMetrics().height()  # beside its arrow
        self.over.setStyleSheet(f"QToolButton {{ padding: 2px {room}px 2px 4px; }}")
        self.over.setToolTip(
            "Draw only over the classes that are ticked; what the map shows in others stays"
        )
        self.over.setAccessibleName("Classes that are drawn over")
        self._menu = QMenu(self.over)
        self.over.setMenu(self._menu)
        self.teaches = QCheckBox("Adapt learns from it")
        self.teaches.setChecked(True)
        self.teaches.setToolTip("Take a sample of what is drawn for the next Adapt, like clicks")
        self.save_button = QPushButton(self.verbs["save_strokes"].title)
        self.save_button.clicked.connect(self.save)
        self.details = QWidget()
        grid = QGridLayout(self.details)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.radius, 0, 0)
        grid.addWidget(self.over, 0, 1)
        grid.addWidget(self.teaches, 1, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.details)
        self.details.setVisible(False)
        self._classes: tuple[LandClass, ...] = ()

    @property
    def only(self) -> tuple[int, ...]:
        """Classes that may be drawn over; empty for all."""
        ticked = [i for i, action in enumerate(self._menu.actions()) if action.isChecked()]
        return () if len(ticked) == len(self._classes) else tuple(ticked)

    def verb_buttons(self) -> dict[str, QPushButton]:
        """Buttons by the names of their verbs."""
        return {
            **{n: b for n, b in self.tools.items() if n != "click"},
            "save_strokes": self.save_button,
        }

    def show_tool(self, tool: str, radius: float) -> None:
        """Show which tool is chosen, and the size of the brush."""
        self.tools[tool].setChecked(True)
        self.details.setVisible(tool != "click")
        self.radius.setVisible(tool == "brush")
        self.radius.blockSignals(True)
        self.radius.setValue(round(radius))
        self.radius.blockSignals(False)

    def show_classes(self, classes: Sequence[LandClass]) -> None:
        """List the classes that may be drawn over; ticks stay if their number is the same."""
        if tuple(classes) == self._classes:
            return
        ticked = [action.isChecked() for action in self._menu.actions()]
        same = len(ticked) == len(classes)
        self._classes = tuple(classes)
        self._menu.clear()
        for i, land in enumerate(classes):
            action = not_none(self._menu.addAction(land.name))
            action.setCheckable(True)
            action.setChecked(ticked[i] if same else True)
            action.toggled.connect(self._on_ticked)
        self._on_ticked()

    def _on_ticked(self, _on: bool = True) -> None:
        names = [self._classes[label].name for label in self.only]
        if len(names) > 2:
            text = f"Over {len(names)} classes"
        else:
            text = f"Over {' and '.join(names)}" if names else _ALL
        self.over.setText(text)

    def enable(self, mapless: str, strokeless: str) -> None:
        """Enable the buttons, or disable them for a reason, which their tooltips then give."""
        for name, button in self.verb_buttons().items():
            reason = strokeless if name == "save_strokes" else mapless
            set_enabled(button, self.verbs[name].tooltip, reason)
        self.tools["click"].setToolTip(f"Click on mistakes ({self.verbs['leave_tool'].key})")
