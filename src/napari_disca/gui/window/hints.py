"""Shows in each section one line about the next step, until it is done or closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from napari_disca.gui.panels.parts.sections import Section
from napari_disca.gui.toolkit.state_file import StateFile
from napari_disca.gui.viewer.keys.verbs import BY_NAME

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.toolkit.saved_settings import SavedSettings
    from napari_disca.gui.viewer.keys.verb import Verb
    from napari_disca.session.session import Session

#: The line of each section; names of verbs in braces are replaced by their keys.
HINTS = {
    "Image": "Choose an image, and a network that was made for images like it.",
    "Map": "Press Segment: the network computes a first map. Hold {hide} to see the image only.",
    "Correct": "Choose a class (key {class}), click where the map is wrong, then press Adapt "
    "({adapt}): the whole map is corrected.",
    "Review": "{doubtful} goes to places where the network is not sure, {next_tile} from tile to "
    "tile; one key judges a place.",
    "Deliver": "Save map writes the map as GeoTIFF; your clicks are saved as you make them.",
}
#: Names of the hints that were closed.
_FILE = StateFile("hints.json", 1 << 12)


class Hint(QWidget):
    """A hint with a button that closes it.

    Signals: ``closed()``.
    """

    closed = Signal()

    def __init__(self, section: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.close_button = QToolButton()
        self.close_button.setText("×")
        self.close_button.setAutoRaise(True)
        self.close_button.setAccessibleName(f"Close the hint of section {section}")
        self.close_button.setToolTip("Close this hint; the settings bring all hints back")
        self.close_button.clicked.connect(self.closed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)


class Hints(QObject):
    """Shows the hints of steps that are possible now.

    A closed hint stays closed in later sessions. Switching the setting *Hints* on brings all of
    them back; it goes off when the last one is closed.

    Parameters
    ----------
    sections : mapping of str to Section
    settings : SavedSettings
    control : Control
    parent : QObject

    Attributes
    ----------
    lines : dict of str to Hint
        Hints by the names of their sections.
    """

    def __init__(
        self,
        sections: Mapping[str, Section],
        settings: SavedSettings,
        control: Control,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._settings, self._control = settings, control
        self._closed = _read()
        self.lines = {name: Hint(name) for name in HINTS}
        for name, line in self.lines.items():
            sections[name].add_first(line)
            QWidget.setTabOrder(sections[name].heading, line.close_button)
            line.closed.connect(lambda name=name: self._close(name))
        self.tell_keys(BY_NAME)
        settings.changed.connect(self._on_setting)
        control.changed.connect(self.show)
        self.show()

    def tell_keys(self, verbs: Mapping[str, Verb]) -> None:
        """Put the keys of verbs into the hints."""
        keys = {name: verb.key or verb.title for name, verb in verbs.items()}
        for name, line in self.lines.items():
            line.text.setText(HINTS[name].format_map(keys))

    def show(self) -> None:
        """Show the hints of steps that are possible and were not made yet."""
        session = self._control.session
        useful = _useful(session, self._control.busy)
        wanted = set(useful) - self._closed if self._settings["hints"] else set()
        for name, line in self.lines.items():
            line.setVisible(name in wanted)

    def _close(self, name: str) -> None:
        self._closed.add(name)
        _FILE.write(sorted(self._closed))
        if self._closed >= HINTS.keys():
            self._settings.set("hints", False)
        self.show()

    def _on_setting(self, name: str) -> None:
        if name == "hints":
            if self._settings["hints"]:
                self._closed.clear()
                _FILE.write(sorted(self._closed))
            self.show()


def _useful(session: Session | None, busy: bool) -> list[str]:
    """Return the sections whose next step is possible and was not made yet."""
    if session is None:
        return ["Image", "Map"]
    if not session.maps[session.document.corrected].levels[-1].any():
        # While the first map is computed, clicks are possible already.
        return ["Correct"] if busy else ["Map"]
    found = ["Deliver"]
    if session.document.adapted is None:
        found.append("Correct")
    if not session.document.marks:
        found.append("Review")
    return found


def _read() -> set[str]:
    saved = _FILE.read()
    return {name for name in saved if name in HINTS} if isinstance(saved, list) else set()
