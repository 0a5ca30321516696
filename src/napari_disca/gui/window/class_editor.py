"""Edits the classes in the panel: each change is a step of the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QInputDialog, QMenu

from napari_disca.gui.toolkit.error_messages import guarded
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.colours.class_colours import shown_table
from napari_disca.session.steps.class_table import ClassTable

if TYPE_CHECKING:
    from napari_disca.gui.panels.correction.classes_panel import ClassesPanel
    from napari_disca.gui.viewer.keys.verb import Verb
    from napari_disca.gui.window.file_verbs import FileVerbs
    from napari_disca.session.session import Session

#: Verbs of the menu; None is a line between them.
_MENU = (
    "rename_class",
    "recolour_class",
    "hide_class",
    "class_up",
    "class_down",
    None,
    "merge_class",
    "separate_class",
    None,
    "load_classes",
    "save_classes",
    "network_classes",
)


class ClassEditor(QObject):
    """Renames, recolours, hides, moves and merges the class that is chosen in the list.

    Parameters
    ----------
    panel : ClassesPanel
    session : callable
        Returns the session; called only while one is open.
    with_session : callable
        Calls a function once the session of the chosen image is open.
    files : FileVerbs
    say : callable
        Shows a line in the status bar.
    """

    def __init__(
        self,
        panel: ClassesPanel,
        session: Callable[[], Session],
        with_session: Callable[[Callable[[], object]], object],
        files: FileVerbs,
        say: Callable[[str], object],
    ) -> None:
        super().__init__(panel)
        self._panel, self._session, self._with_session = panel, session, with_session
        self._files, self._say = files, say
        self.actions: dict[str, Callable[[], object]] = {
            "rename_class": lambda: self._on_chosen(self._rename),
            "recolour_class": lambda: self._on_chosen(self._recolour),
            "hide_class": lambda: self._on_chosen(self._hide),
            "class_up": lambda: self._on_chosen(lambda label: self._move(label, -1)),
            "class_down": lambda: self._on_chosen(lambda label: self._move(label, 1)),
            "merge_class": lambda: self._on_chosen(self._merge),
            "separate_class": lambda: self._on_chosen(self._separate),
            "load_classes": files.load_classes,
            "save_classes": lambda: with_session(files.save_classes),
            "network_classes": lambda: with_session(self._forget),
        }
        panel.moved.connect(self._on_dragged)

    def fill_menu(self, verbs: Iterable[Verb]) -> None:
        """Fill the menu with verbs and their keys."""
        by_name = {verb.name: verb for verb in verbs}
        menu: QMenu = self._panel.menu
        menu.clear()
        menu.setToolTipsVisible(True)
        for name in _MENU:
            if name is None:
                menu.addSeparator()
                continue
            verb = by_name[name]
            title = f"{verb.title}\t{verb.key}" if verb.key else verb.title
            action = not_none(menu.addAction(title))
            action.setToolTip(verb.does)
            action.setObjectName(name)
            action.triggered.connect(lambda *_, name=name: self.actions[name]())

    def at(self, number: int) -> int:
        """Class of a number key, counted from 0: the class in that row of the list."""
        rows = self._panel.list
        return (
            self._panel.label_of(not_none(rows.item(number))) if number < rows.count() else number
        )

    # ------------------------------------------------------------------ verbs

    def _on_chosen(self, act: Callable[[int], object]) -> None:
        label = self._panel.chosen
        if label is None:
            self._say("Choose a class in the list first")
        else:
            self._with_session(lambda: act(label))

    def _set(self, change: Callable[[ClassTable], ClassTable], title: str) -> None:
        session = self._session()
        guarded(lambda: session.document.set_classes(change(shown_table(session)), title))

    def _rename(self, label: int) -> None:
        old = self._session().document.classes[label].name
        name, accepted = QInputDialog.getText(self._panel, "Rename class", "Name:", text=old)
        if accepted and name.strip() != old:
            self._set(lambda table: table.renamed(label, name), f"rename {old} to {name.strip()}")

    def _recolour(self, label: int) -> None:
        entry = shown_table(self._session()).entry(label)
        colour = QColorDialog.getColor(QColor(entry.color), self._panel, f"Colour of {entry.name}")
        if colour.isValid():
            self._set(
                lambda table: table.recoloured({label: colour.name()}),
                f"recolour {entry.name}",
            )

    def _hide(self, label: int) -> None:
        entry = self._session().document.class_table.entry(label)
        verb = "show" if entry.hidden else "hide"
        self._set(lambda table: table.with_hidden(label, not entry.hidden), f"{verb} {entry.name}")

    def _move(self, label: int, steps: int) -> None:
        self._on_dragged(label, self._session().document.class_table.order.index(label) + steps)

    def _on_dragged(self, label: int, place: int) -> None:
        def move() -> None:
            name = self._session().document.classes[label].name
            self._set(lambda table: table.moved(label, place), f"move {name}")

        self._with_session(move)

    def _merge(self, label: int) -> None:
        table = self._session().document.class_table
        entry = table.entry(label)
        apart = (
            e for e in table.entries if e.id != label and (not e.group or e.group != entry.group)
        )
        others = {f"{e.name} → {e.group}" if e.group else e.name: e for e in apart}
        if not others:
            self._say("All classes are merged already")
            return
        chosen, accepted = QInputDialog.getItem(
            self._panel, "Merge class", f"Save {entry.name} together with:", list(others), 0, False
        )
        if not accepted:
            return
        other = others[chosen]
        proposed = entry.group or other.group or f"{entry.name} and {other.name}"
        name, accepted = QInputDialog.getText(
            self._panel, "Merge class", "Name in the saved map:", text=proposed
        )
        if accepted:
            self._set(
                lambda table: table.merged([label, other.id], name),
                f"merge {entry.name} and {other.name}",
            )

    def _separate(self, label: int) -> None:
        group = self._session().document.class_table.entry(label).group
        if group:
            self._set(lambda table: table.separated([label]), f"separate {group}")
        else:
            self._say("That class is not merged with another")

    def _forget(self) -> None:
        session = self._session()
        guarded(lambda: session.document.set_classes(ClassTable(), "use the network's classes"))
