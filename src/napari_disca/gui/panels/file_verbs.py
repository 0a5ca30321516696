"""Saving and loading: which file, then what `Control` does with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_disca.core.errors import ClickError
from napari_disca.exports import class_columns
from napari_disca.gui.panels import dialogs
from napari_disca.gui.tasks.telling import tell_error
from napari_disca.gui.tasks.waiting import off_the_window

if TYPE_CHECKING:
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
        parent: Any,
        control: Any,
        session: Callable[[], Session | None],
        with_session: Callable[[Callable[[], object]], object],
    ) -> None:
        self._parent, self._control = parent, control
        self._session, self._with_session = session, with_session

    def save_labels(self, name: str) -> None:
        """Write one of the maps."""
        session = self._session()
        title = "initial" if name == "initial" else name.upper()
        if session is not None and (
            file := dialogs.labels_file(self._parent, session.raster, title)
        ):
            self._control.files.save_labels(name, file)

    def save_clicks(self) -> None:
        """Write the clicks."""
        session = self._session()
        if session is not None and (file := dialogs.clicks_file(self._parent, session.raster)):
            self._control.files.save_clicks(file)

    def load_clicks(self) -> None:
        """Add the clicks of a file."""
        file = dialogs.clicks_to_load(self._parent, self._control.chosen)
        if file is not None:
            self._with_session(lambda: self._load_clicks(file))

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
            column = dialogs.class_column(self._parent, file, found)
            if column is None:
                return
            if column == found.usual:
                column = None  # read as without a choice, with all that is checked then
        self._control.files.load_clicks(file, column)

    def save_areas(self) -> None:
        """Write the locked areas."""
        session = self._session()
        if session is not None and (file := dialogs.areas_file(self._parent, session.raster)):
            self._control.files.save_areas(file)

    def save_strokes(self) -> None:
        """Write what was drawn."""
        session = self._session()
        if session is not None and (file := dialogs.strokes_file(self._parent, session.raster)):
            self._control.files.save_strokes(file)

    def save_review(self) -> None:
        """Write what was seen and judged."""
        session = self._session()
        if session is not None and (file := dialogs.review_file(self._parent, session.raster)):
            self._control.files.save_review(file)

    def load_areas(self) -> None:
        """Lock the areas of a file."""
        file = dialogs.areas_to_load(self._parent, self._control.chosen)
        if file is not None:
            self._with_session(lambda: self._control.files.load_areas(file))

    def save_classes(self) -> None:
        """Write names, colours and order of the classes."""
        session = self._session()
        if session is not None and (file := dialogs.classes_file(self._parent, session.raster)):
            self._control.files.save_classes(file)

    def load_classes(self) -> None:
        """Name and colour the classes as a file says."""
        file = dialogs.classes_to_load(self._parent, self._control.chosen)
        if file is not None:
            self._with_session(lambda: self._control.files.load_classes(file))
