"""Asks for file names, and has the files saved or loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget

from napari_disca.core.errors import ClickError
from napari_disca.exports import CLICK_SUFFIXES, Content, class_columns
from napari_disca.gui.tasks.session_files import SessionFiles
from napari_disca.gui.toolkit.error_messages import guarded, tell_error
from napari_disca.gui.toolkit.waiting import run_on_thread
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.gui.window.dialogs import (
    class_column,
    file_to_load,
    file_to_save,
    files_to_load,
)

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.session.session import Session


class FileVerbs:
    """The actions of the buttons that ask for a file.

    Parameters
    ----------
    parent : QWidget
        Parent of the dialogs.
    control : Control
    session : callable
        Returns the session of the chosen image, or None.
    with_session : callable
        Calls a function once that session is open.

    Attributes
    ----------
    session_files : SessionFiles
        Saves and loads the files.
    """

    def __init__(
        self,
        parent: QWidget,
        control: Control,
        session: Callable[[], Session | None],
        with_session: Callable[[Callable[[], object]], object],
    ) -> None:
        self._parent, self._control = parent, control
        self.session_files = SessionFiles(control)
        self._session, self._with_session = session, with_session

    def save_labels(self, name: str) -> None:
        """Ask for a file, and start writing one of the maps."""
        if file := self._to_save("labels", name, f"Save map: {TITLES[name]}"):
            self.session_files.save_labels(name, file)

    def save_clicks(self) -> None:
        """Ask for a file, and write the clicks."""
        if file := self._to_save("clicks", "clicks", "Save the clicks"):
            self.session_files.save_clicks(file)

    def save_areas(self) -> None:
        """Ask for a file, and write the locked areas."""
        if file := self._to_save("areas", "areas", "Save the areas"):
            self.session_files.save_areas(file)

    def save_classes(self) -> None:
        """Ask for a file, and write names, colours and order of the classes."""
        if file := self._to_save("classes", "classes", "Save the classes"):
            self.session_files.save_classes(file)

    def save_strokes(self) -> None:
        """Ask for a file, and write the strokes."""
        if file := self._to_save("strokes", "strokes", "Save the strokes"):
            self.session_files.save_strokes(file)

    def save_review(self) -> None:
        """Ask for a file, and write seen places and verdicts."""
        if file := self._to_save("review", "review", "Save the review"):
            self.session_files.save_review(file)

    def load_clicks(self) -> None:
        """Ask for a file, and add its clicks."""
        self._load("Load clicks", "Clicks", CLICK_SUFFIXES, self._load_clicks)

    def load_areas(self) -> None:
        """Ask for a file, and lock its polygons."""
        suffixes = (".geojson", ".json", ".gpkg", ".shp", ".fgb")
        self._load("Load areas", "Polygons", suffixes, self.session_files.load_areas)

    def load_classes(self) -> None:
        """Ask for a file, and take names, colours and merges of the classes from it."""
        from napari_disca.exports.class_files import CLASS_SUFFIXES_IN

        load = self.session_files.load_classes
        self._load("Load classes", "Classes", CLASS_SUFFIXES_IN, load)

    def show_overlays(self) -> None:
        """Ask for rasters and vectors, and show them over the image."""
        from napari_disca.exports.vectors.overlay import OVERLAY_SUFFIXES
        from napari_disca.gui.tasks.overlays import overlays_of
        from napari_disca.gui.toolkit.formats import RASTER_SUFFIXES

        suffixes = (*OVERLAY_SUFFIXES, ".json", *RASTER_SUFFIXES)
        files = files_to_load(
            self._parent,
            self._control.chosen,
            "Show over the image",
            "Rasters and vectors",
            suffixes,
        )
        viewer = self._control.viewer
        for file in files:
            if file.suffix.lower() == ".json":  # napari's readers refuse it
                overlays_of(viewer).open([file])
            else:
                guarded(partial(viewer.open, str(file), plugin="napari-disca"))

    def _load_clicks(self, file: Path) -> None:
        """Ask which column holds the class, if several could, and add the clicks."""
        session = self._session()
        if session is None:
            return
        try:
            found = run_on_thread(
                lambda: class_columns(file, raster=session.raster, classes=session.document.classes)
            )
        except ClickError as error:
            tell_error(error)
            return
        column = None
        if len(found.columns) > 1 and not found.ours:
            column = class_column(self._parent, file, found)
            if column is None:
                return
            if column == found.usual:
                column = None  # so that the file is checked as without a choice
        self.session_files.load_clicks(file, column)

    def _to_save(self, content: Content, which: str, title: str) -> Path | None:
        session = self._session()
        if session is None:
            return None
        return file_to_save(self._parent, session.raster, content, which, title)

    def _load(
        self, title: str, formats: str, suffixes: Sequence[str], load: Callable[[Path], object]
    ) -> None:
        file = file_to_load(self._parent, self._control.chosen, title, formats, suffixes)
        if file is not None:
            self._with_session(partial(load, file))
