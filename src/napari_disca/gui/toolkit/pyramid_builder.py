"""Builds the coarse levels of large images while the user works at the fine ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QObject

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_disca.raster.pyramid import ImagePyramid

#: Keeps builders alive until they have ended.
_AT_WORK: set[PyramidBuilder] = set()


class PyramidBuilder(QObject):
    """Fills a pyramid on a thread and redraws its layer; ends with the layer.

    Parameters
    ----------
    pyramid : ImagePyramid
    """

    def __init__(self, pyramid: ImagePyramid) -> None:
        super().__init__()
        from napari_disca.gui.toolkit.worker import JobWorker, job_threads

        self._pyramid = pyramid
        self._shown = False
        self._threads = job_threads(self)
        self._worker = JobWorker(pyramid.build(), self._threads)
        self._worker.progressed.connect(self._on_progress)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)
        _AT_WORK.add(self)
        self._worker.start()

    def _layers(self) -> list[Layer]:
        from napari_disca.gui.toolkit.windows import open_layers

        return [
            layer
            for layer in open_layers()
            if layer.metadata.get("napari_disca", {}).get("pyramid") is self._pyramid
        ]

    def _on_progress(self, _progress: object) -> None:
        layers = self._layers()
        if self._shown and not layers:
            self._worker.quit()  # no layer shows it any more
        self._shown = self._shown or bool(layers)
        for layer in layers:
            layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _on_errored(self, error: Exception) -> None:
        from napari.utils.notifications import show_error

        from napari_disca.core.errors import one_line

        show_error(f"{self._pyramid.raster.name} cannot be shown as a whole: {one_line(error)}")

    def _on_finished(self) -> None:
        for layer in self._layers():
            layer.refresh(extent=False, highlight=False)
        self._threads.shutdown(wait=False)
        _AT_WORK.discard(self)


def build_pyramid(pyramid: ImagePyramid) -> None:
    """Start filling a pyramid that is not complete; without a window nothing is done."""
    if not pyramid.complete and QCoreApplication.instance() is not None:
        PyramidBuilder(pyramid)
