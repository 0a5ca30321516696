"""Overlays: vectors over the images of a window, read on a thread and closed with their image."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import napari
from napari.layers import Image
from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
    show_info,
)
from qtpy.QtCore import QObject, QTimer

from napari_disca.core.errors import OverlayError
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.file_reading import FileReading
from napari_disca.gui.toolkit.windows import is_open, unwrapped
from napari_disca.gui.viewer.layers.following import Following
from napari_disca.gui.viewer.layers.helper_layers import is_helper
from napari_disca.gui.viewer.layers.overlay_layer import COLOURS, OverlayLayer, put_on_top
from napari_disca.gui.viewer.layers.placement import FRAME, WARPED

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.exports.vectors.overlay import Overlay
    from napari_disca.gui.viewer.layers.overlay_lines import OverlayLines
    from napari_disca.raster.georeference import Frame

#: A file of vectors that was read, and the lines of each of its layers.
Found: TypeAlias = "tuple[Overlay, list[OverlayLines]]"

_ALL: list[Overlays] = []


def overlays_of(viewer: Viewer) -> Overlays:
    """Return the overlays of a window, which are made at the first call."""
    viewer = unwrapped(viewer)
    _ALL[:] = [overlays for overlays in _ALL if overlays.is_open]
    for overlays in _ALL:
        if overlays.viewer is viewer:
            return overlays
    _ALL.append(Overlays(viewer))
    return _ALL[-1]


class Overlays(QObject):
    """Shows files of vectors over the images of a window.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._shown: list[OverlayLayer] = []
        self._following: dict[Image, Following] = {}
        #: Files that wait for an image.
        self._waiting: list[Path] = []
        self._readings: list[FileReading[Found]] = []
        self._colour = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._settle)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)

    @property
    def viewer(self) -> Viewer | None:
        """The viewer; None once it is closed."""
        return self._viewer()

    @property
    def is_open(self) -> bool:
        """Whether the window is still open."""
        viewer = self.viewer
        return viewer is not None and is_open(viewer)

    @property
    def busy(self) -> bool:
        """Whether files are being read."""
        return bool(self._readings)

    def open(self, paths: Sequence[Path], image: Image | None = None) -> None:
        """Show files of vectors over an image; an error message says what is wrong with one.

        Parameters
        ----------
        paths : sequence of Path
        image : Image, optional
            By default the image in the window; without one, the next that is opened.
        """
        image = image or self._image()
        if image is None:
            self._waiting.extend(paths)
            names = ", ".join(path.name for path in paths)
            show_info(f"{names} is shown over the image as soon as one is open")
            return
        for path in paths:
            self._read(path, image)

    # ------------------------------------------------------------------ reading

    def _read(self, path: Path, image: Image) -> None:
        frame = frame_of(image)
        name = str(image.name)
        image_ref = weakref.ref(image)

        def found(read: Found) -> None:
            self._readings.remove(reading)
            self._on_read(read, image_ref(), frame, name)

        def failed(error: Exception) -> None:
            self._readings.remove(reading)
            tell_error(error)

        reading = FileReading(partial(read_lines, path, frame), found, failed)
        self._readings.append(reading)
        reading.start()
        if reading not in self._readings:
            return
        notification_manager.dispatch(
            Notification(
                f"Reading {path.name}; it is shown as soon as it is read",
                NotificationSeverity.INFO,
                actions=[("Cancel", lambda _: self._cancel(reading))],
            )
        )

    def _cancel(self, reading: FileReading[Found]) -> None:
        if reading in self._readings:
            self._readings.remove(reading)
            reading.drop()

    def _on_read(self, found: Found, image: Image | None, frame: Frame, name: str) -> None:
        viewer = self.viewer
        if viewer is None or not self.is_open or image is None or image not in viewer.layers:
            return
        overlay, lines = found
        for layer, drawn in zip(overlay.layers, lines, strict=True):
            called = overlay.path.stem if len(lines) == 1 else f"{overlay.path.stem}: {layer.name}"
            self._show(viewer, image, drawn, called)
            show_info(overlay.describe(layer, frame, name))

    def _show(self, viewer: Viewer, image: Image, lines: OverlayLines, called: str) -> None:
        following = self._following.get(image)
        if following is None:
            following = self._following[image] = Following(image, show_info)
        colour = COLOURS[self._colour % len(COLOURS)]
        self._colour += 1
        shown = OverlayLayer(viewer, image, lines, called, colour, following.placement())
        self._shown.append(shown)
        active = viewer.layers.selection.active
        viewer.add_layer(shown.layer)
        following.add(shown.layer)
        put_on_top(viewer)
        if active is not None:
            viewer.layers.selection.active = active  # the next click still goes to its layer

    # ------------------------------------------------------------------ following the window

    def _image(self) -> Image | None:
        """The image that is chosen in the panel, or else the topmost one; None without images."""
        viewer = self.viewer
        if viewer is None:
            return None
        images = [
            layer
            for layer in viewer.layers
            if isinstance(layer, Image)
            and not is_helper(layer)
            and not layer.metadata.get("napari_disca", {}).get(WARPED)
        ]
        for widget in viewer.window.dock_widgets.values():
            chosen = getattr(getattr(widget, "image_panel", None), "image", lambda: None)()
            if chosen in images:
                return chosen
        return images[-1] if images else None

    def _on_layers(self, _event: object) -> None:
        self._timer.start(0)  # later: other listeners have not seen this change yet

    def _settle(self) -> None:
        """Close overlays without an image, put the others on top, open files that wait for one."""
        viewer = self.viewer
        if viewer is None or not self.is_open:
            return
        for shown in list(self._shown):
            if shown.layer not in viewer.layers:
                self._forget(shown)
            elif shown.image not in viewer.layers:
                viewer.layers.remove(shown.layer)
                self._forget(shown)
        for image in [image for image in self._following if image not in viewer.layers]:
            self._following.pop(image).end()
        put_on_top(viewer)
        if self._waiting and self._image() is not None:
            waiting, self._waiting = self._waiting, []
            self.open(waiting)

    def _forget(self, shown: OverlayLayer) -> None:
        shown.end()
        self._shown.remove(shown)
        following = self._following.get(shown.image)
        if following is not None:
            following.forget(shown.layer)


def read_lines(path: Path, frame: Frame) -> Found:
    """Return a file of vectors and its lines, ready to be drawn; called on another thread.

    Raises
    ------
    OverlayError
        If it cannot be read, or nothing of it lies on the image.
    """
    from napari_disca.exports.vectors.overlay import read_overlay
    from napari_disca.gui.viewer.layers.overlay_lines import OverlayLines

    overlay = read_overlay(path, frame)
    return overlay, [OverlayLines(layer, frame.shape) for layer in overlay.layers]


def frame_of(image: Image) -> Frame:
    """Return where the pixels of an image layer lie on the map, as far as its file says."""
    from napari_disca.raster.georeference import Frame

    frame = image.metadata.get("napari_disca", {}).get(FRAME)
    if isinstance(frame, Frame):
        return frame
    data = image.data[0] if image.multiscale else image.data
    height, width = data.shape[:2] if image.rgb else data.shape[-2:]
    return Frame(None, None, (int(height), int(width)))


def open_overlays(paths: Sequence[Path]) -> None:
    """Show files of vectors over the image of the window in front.

    Raises
    ------
    OverlayError
        If there is no window.
    """
    viewer = napari.current_viewer()
    if viewer is None:
        names = ", ".join(path.name for path in paths)
        raise OverlayError(f"{names}: vectors are shown over an image; open one in napari first")
    overlays_of(viewer).open(paths)
