"""Reviews the map in the window: a verdict on the outlined place with one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QInputDialog, QWidget

from napari_disca.annotations.clicks import Click
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.review.review_bar import ReviewBar
from napari_disca.gui.toolkit.error_messages import guarded
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.session.steps.review_marks import Verdict

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.viewer.canvas.review_camera import ReviewCamera

_NO_PLACE = "No place is outlined: press N for a doubtful place, or T for the next tile"
#: Message after each verdict.
_SAID = {
    "right": "Right, and locked",
    "wrong": "Wrong, and corrected by a click",
    "unsure": "Not sure",
    "note": "Noted",
}
#: What the keys of a review do, by verb.
_JUDGE = {
    "confirm": "right",
    "wrong": "wrong, it is that class",
    "unsure": "not sure",
    "note": "note",
    "doubtful": "next",
    "leave_tool": "end",
}


class ReviewController(QObject):
    """Passes verdicts from keys and buttons to the session, and shows how far the review is.

    Parameters
    ----------
    bar : ReviewBar
    control : Control
    outline : callable
        Outlines a window of the image and marks a pixel in it; with None, nothing.
    guide : callable
        Shows the line that says how to judge the outlined place; the empty line where none is.
    parent : QWidget
    """

    def __init__(
        self,
        bar: ReviewBar,
        control: Control,
        outline: Callable[[Window | None, tuple[int, int] | None], object],
        guide: Callable[[str], object],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._bar, self._control, self._outline, self._parent = bar, control, outline, parent
        self._guide, self._guided = guide, ""
        self._shown: tuple[tuple[float, float], int] | None = None
        control.changed.connect(self._on_changed)
        bar.next_tile.connect(self.next_tile)
        self._on_changed()

    def verbs(self) -> dict[str, Callable[..., object]]:
        """Actions of the review keys, by verb."""
        return {
            "unsure": lambda: self.judge("unsure"),
            "note": self.note,
        }

    @property
    def has_place(self) -> bool:
        """Whether a place is outlined."""
        return self._outlined() is not None

    @property
    def has_doubtful(self) -> bool:
        """Whether a doubtful place is outlined, not a tile."""
        outlined = self._outlined()
        return outlined is not None and not outlined[0].by_tiles

    def _outlined(self) -> tuple[ReviewCamera, Window] | None:
        """Return the camera of the review and the place that is outlined; None without a place."""
        review = self._control.review
        return None if review is None or review.place is None else (review, review.place)

    def next_tile(self) -> None:
        """Move the view to the next tile that was not seen."""
        if self._control.review is not None:
            self._tell(self._control.review.next_tile())

    def leave(self) -> None:
        """End the review of the outlined place without a verdict."""
        if (outlined := self._outlined()) is not None:
            outlined[0].place = None
            self._control.changed.emit()

    def judge(
        self, verdict: Verdict, *, click: Click | None = None, note: str = "", go_on: bool = True
    ) -> None:
        """Record a verdict on the outlined place, and go to the next one unless told not to."""
        if (outlined := self._outlined()) is None:
            self._tell(_NO_PLACE)
            return
        review, place = outlined
        if not guarded(lambda: review.session.review.mark(place, verdict, click=click, note=note)):
            return
        if go_on:
            review.place = None  # or `go_on` would note it as seen
            self._tell(f"{_SAID[verdict]}. {review.go_on()}", of_step=True)
        elif verdict == "wrong":
            # A message says so if the click lies on a locked or drawn pixel.
            self._tell(self._control.message.text or _SAID[verdict], of_step=True)
        else:
            self._tell(_SAID[verdict], of_step=True)

    def wrong(self, label: int) -> None:
        """Record that the place has another class, by a click in its middle."""
        if (outlined := self._outlined()) is None:
            self._tell(_NO_PLACE)
        elif label < len(outlined[0].session.document.classes):
            row, col = outlined[0].middle
            self.judge("wrong", click=Click(row, col, label), go_on=False)

    def note(self) -> None:
        """Ask for a note about the outlined place, and record it."""
        if not self.has_place:
            self._tell(_NO_PLACE)
            return
        text, entered = QInputDialog.getText(self._parent, "Note", "Note about this place:")
        if entered and text.strip():
            self.judge("note", note=text.strip(), go_on=False)

    def _tell(self, line: str, *, of_step: bool = False) -> None:
        self._control.say(line, of_step=of_step)

    def _on_changed(self) -> None:
        session, guided = self._control.session, ""
        if (outlined := self._outlined()) is None:
            self._outline(None, None)
        else:
            review, place = outlined
            self._outline(place, review.middle)
            classes = len(review.session.document.classes)
            guided = how_to_judge(self._bar.verbs, classes, tiles=review.by_tiles)
        if guided != self._guided:
            self._guided = guided
            self._bar.show_how(guided)
            self._guide(guided)
        drawn = session is not None and bool(session.maps["disir"].levels[-1].any())
        marked = session is not None and bool(session.document.marks)
        self._bar.enable(
            "" if drawn else "there is no map yet: press Segment",
            "" if marked else "no place was judged or seen yet",
        )
        if session is None:
            shares, notes = (0.0, 0.0), 0
        else:
            shares = session.review.shares()
            notes = sum(bool(mark.note) for mark in session.document.marks)
        if self._shown != (shares, notes):
            self._shown = shares, notes
            self._bar.show_shares(*shares, notes)


def how_to_judge(verbs: Mapping[str, Verb], classes: int, *, tiles: bool = False) -> str:
    """Return the keys of a review and what they do, in one line."""
    numbers = verbs["wrong" if tiles else "class"].keys[: max(1, classes)]
    keys = {
        name: verbs["next_tile" if tiles and name == "doubtful" else name].key for name in _JUDGE
    }
    keys["wrong"] = numbers[0] + (f"…{numbers[-1][-1]}" if len(numbers) > 1 else "")
    keys["confirm"] = keys["confirm"].replace("Return", "Enter")
    return " · ".join(f"{keys[name]} {what}" for name, what in _JUDGE.items() if keys[name])
