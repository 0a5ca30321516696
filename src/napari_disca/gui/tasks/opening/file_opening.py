"""Opens files on a thread while the window is used; the user can cancel it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import napari
from napari.layers import Layer
from napari.utils.notifications import Notification, NotificationSeverity, notification_manager
from qtpy.QtCore import QObject, Signal

from napari_disca.gui.tasks.opening.file_content import FileContent, holds_vectors, read_file
from napari_disca.gui.tasks.opening.layer_data import layer_of
from napari_disca.gui.tasks.overlays import overlays_of
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.file_reading import FileReading
from napari_disca.gui.toolkit.windows import is_open, unwrapped
from napari_disca.gui.viewer.layers.placement import world_of
from napari_disca.raster import stop_examining

#: What a reader returns where there is no layer yet; npe2 knows it.
NO_LAYER: list[Any] = [(None,)]


class Stage(Enum):
    """How far the opening of files has come."""

    EXAMINING = "examining"
    ADDED = "added"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OpeningFiles(QObject):
    """Holds the files that are being examined, for all windows.

    Signals: ``changed()`` when a file is added or removed.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._openings: list[FileOpening] = []

    def names(self, viewer: napari.Viewer) -> list[str]:
        """Return the names of the files that are being examined for a window."""
        return [path.name for opening in self._of(viewer) for path in opening.paths]

    def cancel(self, viewer: napari.Viewer) -> None:
        """Cancel the opening of all files that are being examined for a window."""
        for opening in self._of(viewer):
            opening.cancel()

    def add(self, opening: FileOpening) -> None:
        """Add an opening."""
        self._openings.append(opening)
        self.changed.emit()

    def remove(self, opening: FileOpening) -> None:
        """Remove an opening that has ended."""
        if opening in self._openings:
            self._openings.remove(opening)
            self.changed.emit()

    def _of(self, viewer: napari.Viewer) -> list[FileOpening]:
        viewer = unwrapped(viewer)
        return [opening for opening in self._openings if opening.viewer() is viewer]


_OPENING_FILES: list[OpeningFiles] = []


def opening_files() -> OpeningFiles:
    """Return the one `OpeningFiles` of this program."""
    if not _OPENING_FILES:
        _OPENING_FILES.append(OpeningFiles())
    return _OPENING_FILES[0]


class FileOpening:
    """Opens files for the current window; slow ones are added to it later.

    Parameters
    ----------
    paths : sequence of Path

    Attributes
    ----------
    stage : Stage
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.stage = Stage.EXAMINING
        viewer = napari.current_viewer()
        self._viewer = weakref.ref(unwrapped(viewer)) if viewer is not None else None
        self._world = world_of(viewer.layers) if viewer is not None else None
        self._returned = False
        self._layers: list[Any] = []
        self._error: Exception | None = None
        #: Files that turn out to hold vectors, not images.
        self._vectors: list[Path] = []
        self._reading = FileReading(self._read, self._on_read, self._on_failed, _close)

    def viewer(self) -> napari.Viewer | None:
        """Return the viewer that gets the layers; None once it is closed."""
        return self._viewer() if self._viewer is not None else None

    def start(self) -> list[Any]:
        """Start reading, and wait a moment for the result.

        Returns
        -------
        list
            Layer data of the files if they are read by then, else `NO_LAYER`.

        Raises
        ------
        RasterError
            If it is known by then that a file cannot be read as an image.
        """
        self._reading.start()
        self._returned = True
        if self._error is not None:
            raise self._error
        if self.stage is Stage.ADDED:
            return self._layers
        opening_files().add(self)
        names = ", ".join(path.name for path in self.paths)
        notification_manager.dispatch(
            Notification(
                f"Examining {names}; it is shown as soon as it is read",
                NotificationSeverity.INFO,
                actions=[("Cancel", lambda _: self.cancel())],
            )
        )
        return NO_LAYER

    def cancel(self) -> None:
        """Stop reading; files that are open already are closed."""
        if self.stage is Stage.EXAMINING:
            self._end(Stage.CANCELLED)
            self._reading.drop()
            for path in self.paths:
                stop_examining(path)

    def _read(self) -> list[FileContent]:
        found: list[FileContent] = []
        try:
            for path in self.paths:
                if holds_vectors(path):
                    self._vectors.append(path)
                else:
                    found.append(read_file(path, self._world))
        except BaseException:
            _close(found)
            raise
        return found

    def _on_read(self, contents: list[FileContent]) -> None:
        viewer = self.viewer()
        if self._returned and (viewer is None or not is_open(viewer)):
            self._end(Stage.CANCELLED)
            _close(contents)
            return
        self._end(Stage.ADDED)
        layers = [layer_of(content) for content in contents]
        if self._vectors and viewer is not None:
            overlays_of(viewer).open(self._vectors)
        if not self._returned:
            self._layers = layers or NO_LAYER
            return
        assert viewer is not None
        for data, keywords, kind in layers:
            viewer.add_layer(Layer.create(data, keywords, kind))

    def _on_failed(self, error: Exception) -> None:
        self._end(Stage.FAILED)
        if self._returned:
            tell_error(error)
        else:
            self._error = error

    def _end(self, stage: Stage) -> None:
        self.stage = stage
        opening_files().remove(self)


def _close(contents: list[FileContent]) -> None:
    for content in contents:
        content.close()
