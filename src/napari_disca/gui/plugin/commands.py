"""Commands of napari's palette and menus, one for each verb of `viewer.verbs` that is offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_disca.gui.viewer.keys.verbs import BY_NAME

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.window.widget import DiscaWidget

_PLUGIN, _WIDGET = "napari-disca", "Correct a map"


def __getattr__(name: str) -> Callable[[], None]:
    """Return a verb's command, ``napari_disca.gui.plugin.commands:VERB`` in ``napari.yaml``."""
    verb = BY_NAME.get(name)
    if verb is None or not verb.command:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def command() -> None:
        do(name)

    command.__name__ = name
    command.__doc__ = f"{verb.does}."
    return command


def do(name: str) -> None:
    """Do a verb in the current window; the panel is opened if it is not docked yet."""
    import napari
    from napari.utils.notifications import show_warning

    viewer = napari.current_viewer()
    if viewer is None:
        show_warning("Open a napari window first")
        return
    panel_of(viewer).viewer_controls.do(name)


def panel_of(viewer: Viewer) -> DiscaWidget:
    """Return the panel of a window, which is docked first if needed."""
    from napari_disca.gui.window.widget import DiscaWidget

    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, DiscaWidget):
            return widget
    _, docked = viewer.window.add_plugin_dock_widget(_PLUGIN, _WIDGET)
    panel: DiscaWidget = docked
    return panel
