"""Access to napari's windows and layers that needs its private names; no other file uses any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

# napari has no public list of its windows, only the current one.
from napari._qt.qt_main_window import _QtMainWindow
from napari.settings import get_settings
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels, Layer, Points, Vectors


def open_layers() -> Iterator[Layer]:
    """Return the layers of all open napari windows."""
    for window in _QtMainWindow._instances:
        yield from window._qt_viewer.viewer.layers


def unwrapped(viewer: Viewer) -> Viewer:
    """Return the viewer itself: napari passes it to each panel in another proxy."""
    return getattr(viewer, "__wrapped__", viewer)


def is_open(viewer: Viewer) -> bool:
    """Whether a viewer's window is open."""
    return bool(_canvases(viewer))


def canvas_widget(viewer: Viewer) -> QWidget | None:
    """Return the widget that a viewer draws on; None if it has no window."""
    canvases = _canvases(viewer)
    return canvases[0].native if canvases else None


@contextmanager
def without_rebuilding_overlays(viewer: Viewer) -> Iterator[None]:
    """Context in which hiding and showing layers does not rebuild napari's overlays.

    napari makes all overlays again for each, with their shaders, which takes longer than drawing
    the frame. Only a grid of views needs that; there it is done as usual.
    """
    canvases = [] if viewer.canvas.grid.enabled else _canvases(viewer)
    unpaused = [canvas for canvas in canvases if not canvas._pause_scene_graph]
    for canvas in unpaused:
        canvas._pause_scene_graph = True
    try:
        yield
    finally:
        for canvas in unpaused:
            canvas._pause_scene_graph = False


def redraw_labels(layer: Labels) -> None:
    """Draw the data of a Labels layer again that were changed in place, if it is visible.

    As napari draws what its own brush paints. ``Layer.refresh`` also computes anew where the layer
    lies, which takes four times as long as the rest.
    """
    if layer.contour or get_settings().experimental.async_:
        # Contours are a new array each time, and napari may show the one before again.
        layer.refresh(extent=False, thumbnail=False, highlight=False)
    elif layer.visible:
        layer.set_view_slice()
        drawn = layer.events.labels_update
        with drawn.blocker(layer.events):  # which would tell the list of layers
            drawn(data=layer._data_view, offset=[0, 0])


def leave_out_empty_text(viewer: Viewer, layer: Points) -> None:
    """Draw the text beside points only while there is some.

    napari prepares and draws an empty text with every frame, which takes as long as the points.
    """
    for canvas in _canvases(viewer):
        text = canvas.layer_to_visual[layer].node.text

        def follow(_event: object = None, text: Any = text) -> None:
            text.visible = getattr(layer.text.string, "constant", None) != ""

        layer.text.events.connect(follow)
        follow()


def draw_one_in_thumbnail(layer: Vectors) -> None:
    """Have a layer of vectors draw one line into its thumbnail, instead of a thousand.

    napari draws them one by one at every change, which takes longer than all else. A napari
    without this name is only slower.
    """
    layer._max_vectors_thumbnail = 1


def _canvases(viewer: Viewer) -> list[Any]:
    """Return napari's canvas of each window of a viewer: one, or none."""
    viewer = unwrapped(viewer)
    windows = (w for w in _QtMainWindow._instances if w._qt_viewer.viewer is viewer)
    return [window._qt_viewer.canvas for window in windows]
