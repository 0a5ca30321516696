"""Moves the camera from place to place in a review, and notes what was seen."""

from __future__ import annotations

from napari_disca.core.events import Job
from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.layers.session_layers import SessionLayers
from napari_disca.session.regions.doubtful_places import DoubtfulPlaces, ReviewStop
from napari_disca.session.session import Session
from napari_disca.session.steps.review_marks import review_cells

#: Pixels of the screen for a pixel of the network's grid, from which on the map can be judged.
_JUDGED = 2
#: Share of the view that a doubtful place fills, so that its surroundings are seen; and a tile.
_PART, _FILLS = 1 / 3, 0.9
#: Calls of `ReviewCamera.follow` for which the camera must rest, about a second: a view that
#: is only passed was not seen.
_CALM = 7


class ReviewCamera:
    """Leads through doubtful places or tiles of the map.

    Parameters
    ----------
    session : Session
    layers : SessionLayers

    Attributes
    ----------
    session : Session
    place : Window or None
        The outlined place, in pixels of the image.
    middle : (int, int)
        Row and column of its most doubtful pixel.
    """

    def __init__(self, session: Session, layers: SessionLayers) -> None:
        self.session = session
        self._layers = layers
        self._doubtful = DoubtfulPlaces(session.network_view)
        self._view: Window | None = None
        self._calm = 0
        self.place: Window | None = None
        self.middle = (0, 0)
        self._by_tiles = False

    def go_on(self) -> str:
        """Move to the next doubtful place, or the next tile after a tile; return a message."""
        return self.next_tile() if self._by_tiles else self.next()

    def next_tile(self) -> str:
        """Move the camera to the next tile that was not seen.

        Returns
        -------
        str
            A message for the user.
        """
        self._pass()
        tile = next(self.session.review.unseen_tiles(), None)
        if tile is None:
            return "All of the map that is computed was seen"
        self._by_tiles = True
        self._go(tile, (tile.top + tile.height // 2, tile.left + tile.width // 2), _FILLS)
        return "The next tile is outlined"

    @property
    def by_tiles(self) -> bool:
        """Whether the next place is the next tile, not the next doubtful place."""
        return self._by_tiles

    def visit(self, window: Window, middle: tuple[int, int]) -> None:
        """Move the camera to a place that was chosen in the list."""
        if window != self.place:
            self._pass()
        self._doubtful.visit(window)
        self._go(window, middle, _FILLS if self._by_tiles else _PART)

    def to_come(self, most: int) -> Job[tuple[list[ReviewStop], int]]:
        """Job that returns the next doubtful places, and how many there are."""
        session, review = self.session, self._doubtful
        review.leave_out(review_cells(session.document.marks, session.network_view))
        return review.to_come(
            session.uncertainty[session.document.corrected], session.document.clicks, most
        )

    def _go(self, window: Window, middle: tuple[int, int], fills: float) -> None:
        self.place, self.middle = window, middle
        self._layers.go_to(window, fills)

    def _pass(self) -> None:
        """Leave the outlined place; without a verdict it is noted as seen."""
        place, self.place = self.place, None
        session = self.session
        # Not while steps can be redone, which a new step would delete.
        judged = any(mark.window == place for mark in session.document.marks)
        if place is not None and not judged and not session.document.can_redo:
            session.review.mark(place, "seen")

    def next(self) -> str:
        """Move the camera to the next doubtful place.

        Returns
        -------
        str
            A message for the user.
        """
        session, review = self.session, self._doubtful
        name = session.document.corrected
        uncertainty = session.uncertainty[name]
        if not uncertainty.any():
            return "There is no map yet: press Segment"
        self._pass()
        self._by_tiles = False
        review.leave_out(review_cells(session.document.marks, session.network_view))
        found = review.next(uncertainty, session.document.clicks)
        if found is not None:
            stop, left = found
            self._go(stop.window, stop.pixel, _PART)
            return f"Doubtful place {review.visited} of {review.visited + left}"
        if session.map_state.up_to_date(name) < 1:
            return "No doubtful place is left in the part that is computed so far"
        return "No doubtful place is left that you have not seen"

    def follow(self) -> None:
        """Note what is in view as seen once it rests; called several times a second."""
        view = self._layers.view()
        self._calm = self._calm + 1 if view == self._view else 0
        self._view = view
        across = self._layers.screen_pixels(1) * self.session.network_view.factor
        # A small image may fill the screen from the beginning, and was not seen for that.
        if (
            view is not None
            and self._calm >= _CALM
            and across * _JUDGED <= 1
            and not self._layers.sees_all()
        ):
            self._doubtful.mark_seen(
                view, self.session.uncertainty[self.session.document.corrected]
            )
