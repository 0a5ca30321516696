"""Saving and loading: which file, then what `Control` does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget

from napari_disca.core.errors import ClickError
from napari_disca.exports import CLICK_SUFFIXES, Content, class_columns
from napari_disca.gui.panels.dialogs import (
    class_column,
    file_to_load,
    file_to_save,
    files_to_load,
)
from napari_disca.gui.tasks.telling import guarded, tell_error
from napari_disca.gui.tasks.waiting import off_the_window

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.session.session import Session


class FileVerbs:
    """What the buttons that ask for a file do.

    Parameters
    ----------
    parent : QWidget
        Of the dialogs.
    control : Control
    session : callable
        The session of what is chosen, or None.
    with_session : callable
        Does something with that session, which is made first if need be.
    """

    def __init__(
        self,
        parent: QWidget,
        control: Control,
        session: Callable[[], Session | None],
        with_session: Callable[[Callable[[], object]], object],
    ) -> None:
        self._parent, self._control = parent, control
        self._session, self._with_session = session, with_session

    def save_labels(self, name: str) -> None:
        """Write one of the maps."""
        title = "initial" if name == "initial" else name.upper()
        if file := self._to_save("labels", name, f"Save the {title} map"):
            self._control.files.save_labels(name, file)

    def save_clicks(self) -> None:
        """Write the clicks."""
        if file := self._to_save("clicks", "clicks", "Save the clicks"):
            self._control.files.save_clicks(file)

    def save_areas(self) -> None:
        """Write the locked areas."""
        if file := self._to_save("areas", "areas", "Save the areas"):
            self._control.files.save_areas(file)

    def save_classes(self) -> None:
        """Write names, colours and order of the classes."""
        if file := self._to_save("classes", "classes", "Save the classes"):
            self._control.files.save_classes(file)

    def save_strokes(self) -> None:
        """Write what was drawn."""
        if file := self._to_save("strokes", "strokes", "Save the strokes"):
            self._control.files.save_strokes(file)

    def save_review(self) -> None:
        """Write what was seen and judged."""
        if file := self._to_save("review", "review", "Save the review"):
            self._control.files.save_review(file)

    def load_clicks(self) -> None:
        """Add the clicks of a file."""
        self._load("Load clicks", "Clicks", CLICK_SUFFIXES, self._load_clicks)

    def load_areas(self) -> None:
        """Lock the areas of a file."""
        suffixes = (".geojson", ".json", ".gpkg", ".shp", ".fgb")
        self._load("Load areas", "Polygons", suffixes, self._control.files.load_areas)

    def load_classes(self) -> None:
        """Name and colour the classes as a file says."""
        from napari_disca.exports.class_files import CLASS_SUFFIXES_IN

        load = self._control.files.load_classes
        self._load("Load classes", "Classes", CLASS_SUFFIXES_IN, load)

    def lay_over(self) -> None:
        """Lay rasters and vectors over the image, to look at."""
        from napari_disca.exports.overlay import OVERLAY_SUFFIXES
        from napari_disca.gui.plugin.formats import RASTER_SUFFIXES
        from napari_disca.gui.tasks.overlays import overlays_of

        suffixes = (*OVERLAY_SUFFIXES, ".json", *RASTER_SUFFIXES)
        files = files_to_load(
            self._parent,
            self._control.chosen,
            "Lay over the image",
            "Rasters and vectors",
            suffixes,
        )
        viewer = self._control.viewer
        for file in files:
            if file.suffix.lower() == ".json":  # of which napari's readers know nothing
                overlays_of(viewer).open([file])
            else:
                guarded(partial(viewer.open, str(file), plugin="napari-disca"))

    def _load_clicks(self, file: Path) -> None:
        """Ask which column says the class, where that is not plain, and add the clicks."""
        session = self._session()
        if session is None:
            return
        try:
            found = off_the_window(
                lambda: class_columns(file, raster=session.raster, classes=session.classes)
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
                column = None  # read as without a choice, with all that is checked then
        self._control.files.load_clicks(file, column)

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
