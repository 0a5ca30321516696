"""Offers images while there is none: a file, a sample, or a recent image."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.file_reading import FileReading
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.toolkit.state_file import StateFile

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

_PLUGIN = "napari-disca"
#: Most recent images in the menu.
_MOST = 10
_FILES = "Images (*.tif *.tiff *.vrt *.jp2 *.img *.jpg *.jpeg *.png);;All files (*)"
_FILE = StateFile("recent.json", 1 << 16)
_SAMPLES = {"temperate": "Aerial scene (temperate)", "arid": "Aerial scene (arid)"}
_ABOUT = (
    "Open an aerial or satellite image, or drop one on the window. A network computes a map of it, "
    "you click on mistakes, and Adapt corrects the whole map."
)


class StartPanel(QWidget):
    """Three buttons that open an image; hidden while there is one.

    Signals: ``shown(bool)`` when it appears or is hidden.

    Parameters
    ----------
    viewer : napari.Viewer
    guarded : callable
        Runs an action, and shows its error to the user.
    """

    shown = Signal(bool)

    def __init__(
        self,
        viewer: Viewer,
        guarded: Callable[[Callable[[], object]], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._guarded = viewer, guarded
        self.text = QLabel(_ABOUT)
        self.text.setWordWrap(True)
        self.open = QPushButton("Open…")
        self.open.setToolTip("Open an image file: GeoTIFF of any size, VRT, JPEG, PNG")
        self.sample = QPushButton("Sample")
        self.sample.setToolTip("Open a generated scene to try the plugin")
        self.recent = QPushButton("Recent")
        self.recent.setToolTip("Open one of the images that were opened last")
        samples = QMenu(self)
        for key, title in _SAMPLES.items():
            not_none(samples.addAction(title)).setData(key)
        samples.triggered.connect(lambda action: self.open_sample(action.data()))
        self.sample.setMenu(samples)
        self._recent = QMenu(self)
        self._recent.triggered.connect(lambda action: self.open_files([action.data()]))
        self.recent.setMenu(self._recent)
        self.recent.setEnabled(False)
        self._reading: FileReading[list[str]] | None = None
        self.open.clicked.connect(self._ask)
        row = QHBoxLayout()
        for button in (self.open, self.sample, self.recent):
            button.setAccessibleName(f"{button.text().rstrip('…')} image")
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        self._on_layers()

    def detach(self) -> None:
        """Disconnect from the viewer's events."""
        self._viewer.layers.events.inserted.disconnect(self._on_layers)
        self._viewer.layers.events.removed.disconnect(self._on_layers)
        if self._reading is not None:
            self._reading.drop()

    def open_files(self, files: list[str]) -> None:
        """Open images with the plugin's own reader."""
        for file in files:
            self._guarded(partial(self._viewer.open, file, plugin=_PLUGIN))

    def open_sample(self, key: str) -> None:
        """Open a generated scene."""
        self._guarded(lambda: self._viewer.open_sample(_PLUGIN, key))

    def _ask(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Open images", "", _FILES)
        self.open_files(files)

    def _on_layers(self, event: Event | None = None) -> None:
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        self.setVisible(not images)
        self.shown.emit(not images)
        if images and event is not None and event.type == "inserted":
            path = event.value.metadata.get("napari_disca", {}).get("path")
            if path:
                remember(path)
        if not images:
            self._read_recent()

    def _read_recent(self) -> None:
        """Fill the menu of recent images, as soon as it is known which of them still exist."""
        if self._reading is not None:
            self._reading.drop()
        self._reading = FileReading(recent, self._show_recent, tell_error)
        # Not waited for: an image may lie on a disk that does not answer.
        self._reading.start(patience=0)

    def _show_recent(self, paths: list[str]) -> None:
        with suppress(RuntimeError):  # Qt has deleted it where the window is closed
            self._recent.clear()
            for path in paths:
                not_none(self._recent.addAction(Path(path).name)).setData(path)
            self.recent.setEnabled(not self._recent.isEmpty())


def recent() -> list[str]:
    """Return the files of recent images that still exist, the latest first; for any thread."""
    return [path for path in _saved() if Path(path).exists()]


def remember(path: str) -> None:
    """Add an image to the recent ones."""
    whole = str(Path(path).absolute())
    _FILE.write([whole, *(other for other in _saved() if other != whole)][:_MOST])


def _saved() -> list[str]:
    saved = _FILE.read()
    return (
        [path for path in saved[:_MOST] if isinstance(path, str)] if isinstance(saved, list) else []
    )
