"""Dialog of the settings: a field for each, under headings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.toolkit.settings_table import SECTIONS, SETTINGS, Setting

if TYPE_CHECKING:
    from napari_disca.gui.toolkit.saved_settings import SavedSettings

_ABOUT = "Settings are for all images and take effect at once."


class SettingsDialog(QDialog):
    """Shows the settings of the table, and applies each change at once.

    Signals: ``keys_wanted()`` when the button *Keys…* is pressed.

    Parameters
    ----------
    settings : SavedSettings

    Attributes
    ----------
    fields : dict of str to QWidget
        Fields by the names of the settings.
    """

    keys_wanted = Signal()

    def __init__(self, settings: SavedSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self._settings = settings
        self.fields: dict[str, QWidget] = {}
        self._shows: dict[str, Callable[[], None]] = {}
        layout = QVBoxLayout(self)
        about = QLabel(_ABOUT)
        about.setWordWrap(True)
        layout.addWidget(about)
        for section, title in SECTIONS.items():
            group = QGroupBox(title)
            form = QFormLayout(group)
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            for setting in SETTINGS:
                if setting.section == section and not setting.own_page:
                    self._add(form, setting)
            layout.addWidget(group)
        self.keys = keys = QPushButton("Keys…")
        keys.setToolTip("Show the page of keys, where keys can be changed")
        keys.clicked.connect(self.keys_wanted)
        reset = QPushButton("Defaults")
        reset.setToolTip("Set all settings to their defaults; keys stay as they are")
        reset.clicked.connect(settings.reset)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(keys, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(reset, QDialogButtonBox.ButtonRole.ResetRole)
        for button in buttons.buttons():
            not_none(button)
            if isinstance(button, QPushButton):
                button.setAutoDefault(False)  # or Enter in a field would press it
        buttons.rejected.connect(self.reject)
        layout.addStretch(1)
        layout.addWidget(buttons)
        settings.changed.connect(self._on_changed)
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * 60)

    def _add(self, form: QFormLayout, setting: Setting) -> None:
        field = self._field(setting)
        field.setToolTip(f"{setting.about}.")
        field.setAccessibleName(setting.title)
        field.setAccessibleDescription(setting.about)
        self.fields[setting.name] = field
        label = QLabel(setting.title)
        label.setToolTip(field.toolTip())
        form.addRow(label, field)
        self._shows[setting.name]()

    def _field(self, setting: Setting) -> QWidget:
        """Return a field for the values that a setting may have."""
        settings, name = self._settings, setting.name
        change = partial(settings.set, name)
        if isinstance(setting.default, bool):
            box = QCheckBox()
            self._shows[name] = lambda: box.setChecked(settings[name])
            box.toggled.connect(change)
            return box
        if setting.choices:
            list_ = QComboBox()
            list_.addItems(setting.choices)
            self._shows[name] = lambda: list_.setCurrentText(settings[name])
            list_.currentTextChanged.connect(change)
            return list_
        if isinstance(setting.default, int):
            number = QSpinBox()
            number.setRange(int(setting.low or 0), int(setting.high or 0))
            number.setSuffix(f" {setting.unit}" if setting.unit else "")
            number.setKeyboardTracking(False)  # half a number is not a value
            self._shows[name] = lambda: number.setValue(settings[name])
            number.valueChanged.connect(change)
            return number
        share = QDoubleSpinBox()
        share.setRange(setting.low or 0.0, setting.high or 0.0)
        share.setSingleStep(0.1)
        share.setKeyboardTracking(False)
        self._shows[name] = lambda: share.setValue(settings[name])
        share.valueChanged.connect(change)
        return share

    def _on_changed(self, name: str) -> None:
        if name in self._shows:
            self._shows[name]()
