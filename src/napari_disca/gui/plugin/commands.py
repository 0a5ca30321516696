"""The verbs as commands of napari's palette and menus; `viewer.verbs` says which there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_disca.gui.viewer.verbs import BY_NAME

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.panels.widget import DiscaWidget

_PLUGIN, _WIDGET = "napari-disca", "Correct a map"


def __getattr__(name: str) -> Callable[[], None]:
    """Command of a verb, which ``napari.yaml`` names ``napari_disca.gui.plugin.commands:VERB``."""
    verb = BY_NAME.get(name)
    if verb is None or not verb.command:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def command() -> None:
        do(name)

    command.__name__ = name
    command.__doc__ = f"{verb.does}."
    return command


def do(name: str) -> None:
    """Do a verb in the window in front; the panel is opened if it isn't there."""
    import napari
    from napari.utils.notifications import show_warning

    viewer = napari.current_viewer()
    if viewer is None:
        show_warning("Open a napari window first")
        return
    panel_of(viewer).desk.do(name)


def panel_of(viewer: Viewer) -> DiscaWidget:
    """The panel of a window, which is docked if it isn't there yet."""
    from napari_disca.gui.panels.widget import DiscaWidget

    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, DiscaWidget):
            return widget
    _, docked = viewer.window.add_plugin_dock_widget(_PLUGIN, _WIDGET)
    panel: DiscaWidget = docked
    return panel
