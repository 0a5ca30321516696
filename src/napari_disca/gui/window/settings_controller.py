"""Applies the settings to a window, and saves settings that are changed in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QWidget

from napari_disca.gui.viewer.colours.class_colours import prefer_colours
from napari_disca.gui.viewer.keys.key_choices import keys_of, text_of_keys
from napari_disca.gui.window.settings_dialog import SettingsDialog

if TYPE_CHECKING:
    from napari_disca.gui.panels.correction.refine_panel import RefinePanel
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.tasks.long_work import LongWork
    from napari_disca.gui.tasks.opening.image_choice import ImageChoice
    from napari_disca.gui.toolkit.saved_settings import SavedSettings
    from napari_disca.gui.window.viewer_controller import ViewerController


class SettingsController(QObject):
    """Applies settings to a window when they change, and saves what the user changes in it.

    Parameters
    ----------
    settings : SavedSettings
    viewer_controls : ViewerController
    refine : RefinePanel
        Shows precision and disk.
    choice : ImageChoice
        Makes another session for another device or precision.
    long_work : LongWork
    control : Control
    panel : QWidget
    """

    def __init__(
        self,
        settings: SavedSettings,
        viewer_controls: ViewerController,
        refine: RefinePanel,
        choice: ImageChoice,
        long_work: LongWork,
        control: Control,
        panel: QWidget,
    ) -> None:
        super().__init__(panel)
        self._settings, self._viewer_controls, self._refine = settings, viewer_controls, refine
        self._choice, self._long_work, self._control = choice, long_work, control
        self._panel = panel
        self.dialog: SettingsDialog | None = None
        self._effects: dict[str, Callable[[], object]] = {
            "style": self._show_style,
            "opacity": self._show_style,
            "colours": self._show_colours,
            "legend": lambda: viewer_controls.legend.set_visible(settings["legend"]),
            "device": choice.choose,
            "precision": self._show_precision,
            "memory": self.apply_limits,
            "disk": self._show_disk,
            "notice": self._tell_after,
            "keys": lambda: viewer_controls.use_keys(keys_of(settings["keys"])),
        }
        refine.precision.setCurrentText(settings["precision"])
        refine.disk.setValue(settings["disk"])
        for name in ("style", "colours", "legend", "notice", "keys"):
            self._effects[name]()
        settings.changed.connect(self._on_changed)
        refine.precision.currentTextChanged.connect(lambda text: settings.set("precision", text))
        refine.disk.valueChanged.connect(lambda number: settings.set("disk", number))
        viewer_controls.keys_chosen.connect(
            lambda chosen: settings.set("keys", text_of_keys(chosen))
        )
        viewer_controls.legend_toggled.connect(lambda on: settings.set("legend", on))

    def show(self) -> None:
        """Show the settings dialog."""
        if self.dialog is not None and self.dialog.isVisible():
            self.dialog.raise_()
            return
        self.dialog = SettingsDialog(self._settings, QApplication.activeWindow() or self._panel)
        self.dialog.keys_wanted.connect(self._viewer_controls.show_keys)
        self.dialog.show()

    def apply_limits(self) -> None:
        """Allow the session's features as much memory and disk as the settings say."""
        if self._control.session is not None:
            disk, memory = self._settings["disk"] << 30, self._settings["memory"] << 20
            self._control.session.allow_disk(disk, memory)

    def end(self) -> None:
        """Disconnect from the settings."""
        self._settings.end()

    def _on_changed(self, name: str) -> None:
        effect = self._effects.get(name)
        if effect is not None:
            effect()

    def _show_style(self) -> None:
        self._viewer_controls.see_through.set_defaults(
            self._settings["style"], self._settings["opacity"]
        )

    def _show_colours(self) -> None:
        prefer_colours(self._settings["colours"])
        self._viewer_controls.show_classes()
        self._control.changed.emit()

    def _show_precision(self) -> None:
        self._refine.precision.setCurrentText(self._settings["precision"])
        self._choice.choose()

    def _show_disk(self) -> None:
        self._refine.disk.setValue(self._settings["disk"])
        self.apply_limits()

    def _tell_after(self) -> None:
        self._long_work.seconds = float(self._settings["notice"])
