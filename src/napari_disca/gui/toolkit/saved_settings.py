"""The settings of `viewer.settings_table`, saved by napari."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_disca.gui.toolkit.settings_table import BY_SETTING, Value

if TYPE_CHECKING:
    from napari.utils.events import Event

    from napari_disca.networks.compute import DeviceName, Precision

_PLUGIN = "napari-disca"
#: Values where napari does not know the plugin: they are not saved.
_unsaved: dict[str, Value] = {}


class SavedSettings(QObject):
    """The settings by name, the same in all windows.

    napari saves them in a file and shows them among its preferences; changes made there take
    effect here.

    Signals: ``changed(name)``.
    """

    changed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = _model()
        if self._model is not None:
            self._model.events.changed.connect(self._on_changed)

    def __getitem__(self, name: str) -> Any:
        setting = BY_SETTING[name]
        if self._model is None:
            return _unsaved.get(name, setting.default)
        value = getattr(getattr(self._model, setting.section), name)
        # The file may come from another version, whose manifest allowed more.
        return value if setting.accepts(value) else setting.default

    def set(self, name: str, value: Value) -> None:
        """Change a setting, and save it.

        Raises
        ------
        ValueError
            If the value is not allowed.
        """
        setting = BY_SETTING[name]
        if not setting.accepts(value):
            raise ValueError(f"{setting.title} = {value!r} is not allowed")
        if value == self[name]:
            return
        if self._model is None:
            _unsaved[name] = value
            self.changed.emit(name)
            return
        with suppress(OSError):  # a file that cannot be written is ignored
            setattr(getattr(self._model, setting.section), name, value)

    def computing(self) -> tuple[DeviceName, Precision]:
        """Return device and number format for networks."""
        return self["device"], self["precision"]

    def reset(self) -> None:
        """Set all settings to their defaults, except the keys, which have their own page."""
        for name, setting in BY_SETTING.items():
            if not setting.own_page:
                self.set(name, setting.default)

    def end(self) -> None:
        """Disconnect from napari's settings."""
        if self._model is not None:
            self._model.events.changed.disconnect(self._on_changed)

    def _on_changed(self, event: Event) -> None:
        section, _, name = event.key.partition(".")
        if name in BY_SETTING and BY_SETTING[name].section == section:
            self.changed.emit(name)


def _model() -> Any:
    """Return napari's settings of this plugin; None where it is not installed as a plugin."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(_PLUGIN)
    except KeyError:
        return None
