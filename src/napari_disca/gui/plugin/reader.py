"""npe2 reader: images of any size lazily, our label maps as Labels, vectors as overlays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_disca.gui.toolkit.formats import RASTER_SUFFIXES, VECTOR_SUFFIXES


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[Any]] | None:
    """Return `read` for images and vectors, by the endings of their names; None for others."""
    paths = [path] if isinstance(path, str) else list(path)
    if all(Path(p).suffix.lower() in (*RASTER_SUFFIXES, *VECTOR_SUFFIXES) for p in paths):
        return read
    return None


def read(path: str | Sequence[str]) -> list[Any]:
    """Return the layer data of files.

    Called by the window, it returns `NO_LAYER` for a slow file: the file is read on while the
    window is used, and its layer is added afterwards. Files of vectors are shown over the image in
    the window, and return no layer either.

    Raises
    ------
    RasterError
        If a file cannot be read as an image.
    OverlayError
        If there is no window with an image to show vectors over.
    """
    from napari_disca.gui.tasks.opening.file_opening import NO_LAYER, FileOpening
    from napari_disca.gui.tasks.opening.layer_data import layer_data
    from napari_disca.gui.tasks.overlays import open_overlays

    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    images = [p for p in paths if p.suffix.lower() not in VECTOR_SUFFIXES]
    vectors = [p for p in paths if p not in images]
    if images and _asked_by_the_window():
        layers = FileOpening(images).start()
    else:
        vectors += [p for p in images if _holds_vectors(p)]
        layers = [layer_data(p) for p in images if p not in vectors]
    if vectors:
        open_overlays(vectors)
    return layers or NO_LAYER


def _holds_vectors(path: Path) -> bool:
    from napari_disca.gui.tasks.opening.file_content import holds_vectors
    from napari_disca.gui.toolkit.waiting import run_on_thread

    return run_on_thread(lambda: holds_vectors(path))


def _asked_by_the_window() -> bool:
    """Whether the window calls this, not a script."""
    from qtpy.QtCore import QCoreApplication, QThread

    app = QCoreApplication.instance()
    thread = QThread.currentThread()
    if app is None or thread is None or thread is not app.thread():
        return False
    return thread.loopLevel() > 0
