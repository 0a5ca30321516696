"""Saves and loads the files of a session: maps, clicks, areas, classes, strokes, review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info, show_warning

from napari_disca.core.events import Job, finish
from napari_disca.exports import (
    Content,
    export_for,
    load_clicks,
    merged,
    read_locks,
    write_map,
)
from napari_disca.exports.class_files import read_classes
from napari_disca.gui.toolkit.error_messages import guarded
from napari_disca.gui.toolkit.task_queue import Task
from napari_disca.gui.toolkit.waiting import run_on_thread
from napari_disca.gui.viewer.colours.class_colours import saved_classes, shown_table

if TYPE_CHECKING:
    from napari_disca.annotations.areas import Area
    from napari_disca.gui.tasks.control import Control
    from napari_disca.session.session import Session


class SessionFiles:
    """Saves parts of the session to files, and loads files into it.

    Parameters
    ----------
    control : Control
        Holds the session, and runs the task that writes a map.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def save_labels(self, name: str, path: Path) -> None:
        """Start writing a map; the ending of the path decides the format."""
        session = self._control.session
        if session is None or not guarded(lambda: export_for(path, "labels")):
            return
        missing = 0.0

        def write() -> Job[Path]:
            nonlocal missing
            missing = 1 - session.map_state.up_to_date(name)
            labels = merged(session.maps[name], session.document.merged_values)
            return write_map(labels, path, raster=session.raster, classes=saved_classes(session))

        # A complete map is saved as it is now, whatever changes before the task's turn comes;
        # an incomplete one as it is when the task's turn comes.
        now = write() if session.map_state.up_to_date(name) == 1.0 else None

        def say(written: Path) -> None:
            session.document.exported(name, str(written))
            if missing:
                show_warning(
                    f"Saved {written}, but {missing:.0%} of the map was not up to date; "
                    "press Segment to finish it and save again"
                )
            else:
                show_info(f"Saved {written}")

        self._control.submit(Task("file", session, write if now is None else lambda: now, say))

    def save_clicks(self, path: Path) -> None:
        """Write the clicks; the ending of the path decides the format."""
        if (session := self._control.session) is not None:
            self._save_small(session, "clicks", session.document.clicks, path)

    def save_areas(self, path: Path) -> None:
        """Write the locked areas; the ending of the path decides the format."""
        if (session := self._control.session) is not None:
            self._save_small(session, "areas", [lock.area for lock in session.document.locks], path)

    def save_classes(self, path: Path) -> None:
        """Write names, colours and order of the classes as they are shown."""
        if (session := self._control.session) is not None:
            self._save_small(session, "classes", shown_table(session), path)

    def load_classes(self, path: Path) -> None:
        """Take names, colours and merges of the classes from a file."""
        session = self._control.session
        if session is None:
            return

        def load() -> None:
            found = run_on_thread(lambda: read_classes(path, shown_table(session)))
            session.document.set_classes(found.table, f"load classes of {path.name}")
            if said := found.describe(path.name):
                show_warning(said)

        guarded(load)

    def save_strokes(self, path: Path) -> None:
        """Write the strokes; the ending of the path decides the format."""
        if (session := self._control.session) is not None:
            self._save_small(session, "strokes", session.document.strokes, path)

    def save_review(self, path: Path) -> None:
        """Write seen places and verdicts; the ending of the path decides the format."""
        if (session := self._control.session) is not None:
            self._save_small(session, "review", session.document.marks, path)

    def _save_small(self, session: Session, content: Content, what: object, path: Path) -> None:
        """Write a small file at once, and tell the user and the journal."""
        if guarded(
            lambda: finish(
                export_for(path, content).write(
                    what, path, raster=session.raster, classes=session.document.classes
                )
            ),
            file=True,
        ):
            session.document.exported(content, str(path))
            show_info(f"Saved {path}")

    def load_clicks(self, path: Path, column: str | None = None) -> None:
        """Add the clicks of a file: GeoJSON, a vector file of a GIS, or CSV.

        Parameters
        ----------
        path : Path
        column : str, optional
            Column that holds the class, by name or by id.
        """
        session = self._control.session
        if session is None:
            return

        def load() -> None:
            found = run_on_thread(
                lambda: load_clicks(
                    path, raster=session.raster, classes=session.document.classes, column=column
                )
            )
            clicks = found.clicks
            session.document.set_clicks(
                session.document.clicks.added(*clicks), f"load {len(clicks)} clicks"
            )
            if found.left_out or found.note:
                show_warning(found.describe(path.name))

        guarded(load)

    def load_areas(self, path: Path) -> None:
        """Lock the polygons of a file with the classes that the map shows there now."""
        session = self._control.session
        if session is None:
            return
        found: list[Area] = []
        if guarded(lambda: found.extend(read_locks(path, raster=session.raster)), file=True):
            self._control.locking.lock(*found)
