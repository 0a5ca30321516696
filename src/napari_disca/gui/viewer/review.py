"""The tour of doubtful places in the window: where the camera goes, and what was looked at."""

from __future__ import annotations

from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.layers import SessionLayers
from napari_disca.session.review import Review
from napari_disca.session.session import Session

#: Pixels of the screen that show a pixel of the network's grid, from which on it can be judged.
_JUDGED = 2
#: Calls of `ReviewCamera.follow` for which the camera must rest: a second. Who pans by has not
#: looked.
_CALM = 7


class ReviewCamera:
    """Leads through the doubtful places of the map that is being corrected.

    Parameters
    ----------
    session : Session
    layers : SessionLayers
    """

    def __init__(self, session: Session, layers: SessionLayers) -> None:
        self._session = session
        self._layers = layers
        self._tour = Review(session.inputs)
        self._view: Window | None = None
        self._calm = 0

    def next(self) -> str:
        """Move the camera to the next doubtful place.

        Returns
        -------
        str
            What to tell the user.
        """
        session, tour = self._session, self._tour
        name = session.corrected
        uncertainty = session.uncertainty[name]
        if not uncertainty.any():
            return "There is no map yet; press Segment"
        found = tour.next(uncertainty, session.clicks)
        if found is not None:
            stop, left = found
            self._layers.go_to(stop.window)
            return f"Doubtful place {tour.visited} of {tour.visited + left}"
        if session.up_to_date(name) < 1:
            return "Nothing doubtful is left in what is drawn so far"
        return "Nothing doubtful is left that you haven't looked at"

    def follow(self) -> None:
        """Note what the user is looking at; to be called several times a second."""
        view = self._layers.view()
        self._calm = self._calm + 1 if view == self._view else 0
        self._view = view
        across = self._layers.screen_pixels(1) * self._session.inputs.factor
        # A small image may fill the screen from the beginning, and nobody has looked at all of it.
        if (
            view is not None
            and self._calm >= _CALM
            and across * _JUDGED <= 1
            and not self._layers.sees_all()
        ):
            self._tour.look(view, self._session.uncertainty[self._session.corrected])
