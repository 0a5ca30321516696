"""From an image layer and a network that are chosen to a session that is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_disca.core.errors import DiscaError
from napari_disca.gui.tasks.frames import bands_of_frame, frame_of_raster
from napari_disca.gui.tasks.journal_controller import JournalController
from napari_disca.gui.tasks.opening import Resumed, new_session
from napari_disca.gui.tasks.sources import class_names, lines_of_view, looked_at
from napari_disca.gui.tasks.telling import tell_error
from napari_disca.gui.tasks.waiting import off_the_window
from napari_disca.inference.reading import Reading
from napari_disca.networks import Card, read_card
from napari_disca.networks.compute import Precision
from napari_disca.session.preferences import recall, remember
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari_disca.annotations.clicks import Clicks
    from napari_disca.gui.panels.image_panel import ImagePanel
    from napari_disca.gui.tasks.control import Control
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.raster import Raster


@dataclass(frozen=True, slots=True)
class Choice:
    """What a session is made for.

    Attributes
    ----------
    layer : napari.layers.Image
    weights : str
        Name or file of the network.
    reading : Reading
        How the image is read.
    precision : str
    frame : tuple of int or str
        Of a layer with a slider what is read of it, or the layers that are its bands; another
        one is another image.
    """

    layer: Image
    weights: str
    reading: Reading
    precision: Precision
    frame: tuple[int | str, ...] = ()

    @property
    def image(self) -> tuple[Image, tuple[int | str, ...]]:
        """What clicks and journals belong to."""
        return self.layer, self.frame


class ImageOpening(QObject):
    """Looks at what is chosen, makes its session when one is wanted, and brings journals back.

    Signals: ``changed()`` when the choice or its session is another; ``opened()`` when a session
    is shown.

    Parameters
    ----------
    control : Control
    image_panel : ImagePanel
    journals : JournalController
    precision : callable
        The number format that is chosen.
    parent : QObject

    Attributes
    ----------
    card : Card or None
        Of the network that is chosen.
    view : NetworkView or None
        What that network reads of the image that is chosen.
    """

    changed = Signal()
    opened = Signal()

    def __init__(
        self,
        control: Control,
        image_panel: ImagePanel,
        journals: JournalController,
        precision: Callable[[], Precision],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._control, self._image_panel, self._journals = control, image_panel, journals
        self._precision = precision
        self.card: Card | None = None
        self.view: NetworkView | None = None
        self._ended = False
        #: The choice is being looked at, and was changed meanwhile.
        self._choosing = self._chosen_again = False
        #: Image layer and network for which the panel shows how the image is read.
        self._shown_for: tuple[Image, str] | None = None
        #: The layer that `control.chosen` reads, and which of its frames.
        self._looked_at: tuple[Image | None, tuple[int | str, ...]] = (None, ())
        #: Bands that were read because a slider stood there.
        self._frame_bands: tuple[int, ...] | None = None
        #: As chosen, and as the session was made for.
        self._chosen: Choice | None = None
        self._opened: Choice | None = None
        #: Clicks of images that were left for another, by frame and the names of the classes.
        self._left: WeakKeyDictionary[Image, dict[object, Clicks]] = WeakKeyDictionary()
        control.changed.connect(self._on_changed)
        journals.wanted.connect(self.go_on)

    @property
    def is_chosen(self) -> bool:
        """Whether there are an image that can be read and a network."""
        return self._chosen is not None

    def session(self) -> Session | None:
        """The session of what is chosen, if it is there."""
        return self._control.session if self._opened == self._chosen else None

    def end(self) -> None:
        """Offer nothing any more: the panel goes."""
        self._ended = True

    def _on_changed(self) -> None:
        session = self.session()
        if session is not None and session.can_undo:
            self._journals.look(None)  # the user has begun anew

    # ------------------------------------------------------------------ choosing

    def choose(self) -> None:
        """Read the card and the image's place, and say how the network reads it."""
        if self._choosing:
            self._chosen_again = True  # what is chosen meanwhile is looked at afterwards
            return
        self._choosing = True
        try:
            self._choose()
            while self._chosen_again:
                self._chosen_again = False
                self._choose()
        finally:
            self._choosing = False

    def _choose(self) -> None:
        panel = self._image_panel
        layer = panel.image()
        before, self._chosen = self._chosen, None
        self.view = None
        unreadable: DiscaError | None = None
        try:
            frame, parts = panel.frame(), panel.parts()
            of_raster: tuple[int | str, ...] = tuple(part.name for part in parts)
            if frame and layer is not None:
                of_raster = frame_of_raster(layer, frame)
            if (layer, of_raster) != self._looked_at:
                self._look_at(layer, frame, parts)
                self._looked_at = (layer, of_raster)
                self._shown_for = None
        except DiscaError as error:
            unreadable = error
        weights = panel.weights()
        try:
            if before is None or before.weights != weights:
                self.card = off_the_window(lambda: read_card(weights)) if weights else None
            panel.show_card(self.card)
            if layer is None or self.card is None:
                lacks = "an image: drop a GeoTIFF on the window" if layer is None else "a network"
                panel.show_view(None, f"Open {lacks}")
                self._shown_for = None
            elif unreadable is not None:
                raise unreadable
            else:
                self._chosen = self._read(layer, weights, self.card, before)
        except DiscaError as error:
            panel.show_view(None, str(error))
        opening = self._control.opening
        if opening is not None and opening.what != self._chosen:
            self._control.drop_opening()
        # While the image is being corrected, its journal is this window's.
        here = self._opened is not None and self._control.session is not None
        chosen = self._chosen
        at_work = here and chosen is not None and self._opened.image == chosen.image
        looked_at = None if at_work or self._chosen is None else self._control.chosen
        if looked_at is None or before is None or before.image != chosen.image:
            self._journals.look(looked_at)
        self.changed.emit()

    def _read(self, layer: Image, weights: str, card: Card, before: Choice | None) -> Choice:
        """Say how the network reads the image, as chosen by hand or remembered."""
        raster, panel = self._control.chosen, self._image_panel
        bands = bands_of_frame(layer, raster, card, panel.frame())
        if self._shown_for != (layer, weights):
            told = panel.reading_before() or Reading(
                bands=bands, factor=off_the_window(lambda: recall(raster, card))
            )
            panel.show_reading(told, raster, card)
            self._shown_for = (layer, weights)
        elif bands != self._frame_bands and panel.bands.bands() == self._frame_bands:
            panel.show_reading(replace(panel.reading(), bands=bands), raster, card)
        self._frame_bands = bands
        reading = panel.reading()
        view = off_the_window(lambda: reading.view(raster, card))
        same = before is not None and (before.layer, before.weights) == (layer, weights)
        if same and before.reading.factor != reading.factor:
            off_the_window(lambda: remember(raster, card, reading.factor))
        panel.show_view(view)
        panel.show_lines(off_the_window(lambda: lines_of_view(view)))
        self.view = view
        frame = self._looked_at[1]
        if bands is not None and reading.bands == bands:
            frame = bands
        return Choice(layer, weights, reading, self._precision(), frame)

    def _look_at(
        self, layer: Image | None, frame: tuple[int, ...], parts: tuple[Image, ...]
    ) -> None:
        """Read from another image, which proposes a network."""
        self._looked_at = (None, ())
        self._image_panel.show_image(None, ())
        if layer is not None:
            raster, proposal, lines = off_the_window(lambda: looked_at(layer, frame, parts))
            self._take_raster(raster)
            self._image_panel.show_image(proposal, lines)

    def _take_raster(self, raster: Raster) -> None:
        """Read from another image; the one before is closed, unless its session is open."""
        # The control has it: it is told when the window goes, unlike this object.
        before, self._control.chosen = self._control.chosen, raster
        session = self._control.session
        if before is not None and (session is None or session.raster is not before):
            before.close()

    # ------------------------------------------------------------------ a new session

    def with_session(self, then: Callable[[], object]) -> None:
        """Do something with the session of what is chosen, which is made first if need be."""
        choice = self._chosen
        if choice is None:
            show_error("Open an image and choose a network first")
            return
        if self.session() is not None:
            then()
            return
        opening = self._control.opening
        if opening is None or opening.what != choice:
            job = new_session(
                self._control.chosen,
                choice.weights,
                self._image_panel.allows(choice.weights),
                choice.reading,
                choice.precision,
                self._journals.returned,
            )
            opening = self._control.begin(choice, job)
            opening.opened.connect(self._on_opened)
            opening.failed.connect(self._on_failed)
        opening.then.append(then)

    def _on_opened(self, session: Session) -> None:
        opening, self._control.opening = self._control.opening, None
        choice = self._chosen
        assert opening is not None
        assert choice is not None
        self._open(session, choice, choice.weights)
        left = self._left.get(choice.layer, {})
        if (kept := left.get((choice.frame, class_names(session)))) and not session.can_undo:
            session.set_clicks(kept, "take over the clicks")
        self.changed.emit()
        for then in opening.then:
            then()

    def _on_failed(self, error: Exception) -> None:
        self._control.opening = None
        tell_error(error)
        self.changed.emit()

    def _open(self, session: Session, choice: Choice, weights: str) -> None:
        """Show a session, instead of the one before."""
        control, opened = self._control, self._opened
        before = control.session
        if before is not None and opened is not None:
            left = self._left.setdefault(opened.layer, {})
            left[opened.frame, class_names(before)] = before.clicks
            if opened.image != choice.image:
                self._journals.leave(before)
        control.open(choice.layer, session)
        if before is not None and before.raster is not session.raster:
            before.raster.close()
        if session.journal is None:
            self._journals.keep(session, weights)
        self._opened = choice
        control.layers.show()
        self.opened.emit()

    # ------------------------------------------------------------------ a session of another day

    def go_on(self, journal: Path) -> None:
        """Go on with a session where its journal ends."""
        choice = self._chosen
        if choice is None:
            return
        control, journals = self._control, self._journals
        looked = control.session if self._opened and self._opened.image == choice.image else None
        if looked is not None:
            looked.close()  # opened to have a look; its journal makes room
        job = journals.resuming(journal, control.chosen, choice.weights, self._image_panel.agreed)
        if job is None:
            if looked is not None:
                journals.keep(looked, choice.weights)
            return
        if looked is not None:
            control.close()  # a click on it now would be lost
        opening = control.begin(choice, job)
        opening.opened.connect(self._on_resumed)
        opening.failed.connect(partial(self._on_not_resumed, journal))
        opening.dropped.connect(self._on_left)

    def _on_resumed(self, resumed: Resumed) -> None:
        opening, self._control.opening = self._control.opening, None
        assert opening is not None
        assert self._chosen is not None
        layer, session = self._chosen.layer, resumed.session
        if resumed.weights != self._image_panel.weights():
            self._image_panel.choose_network(resumed.weights)
        reading = off_the_window(lambda: Reading.of(session.inputs))
        self._image_panel.show_reading(reading, session.raster, session.inputs.card)
        self.choose()
        choice = self._chosen
        if choice is None or choice.layer is not layer:
            session.close()
            return
        self._open(session, choice, resumed.weights)
        self._journals.look(None)
        self._control.segment()
        self.changed.emit()
        for then in opening.then:
            then()

    def _on_not_resumed(self, journal: Path, error: Exception) -> None:
        if isinstance(error, DiscaError):
            self._control.opening = None
            self.changed.emit()
            self._journals.failed(journal, self._control.chosen, error)
        else:
            self._on_failed(error)
            self._journals.look(self._control.chosen)

    def _on_left(self) -> None:
        """Offer a journal again that was not waited for."""
        idle = self._control.opening is None and self._control.session is None
        if idle and not self._ended:
            self.choose()
            self._journals.look(self._control.chosen if self._chosen is not None else None)
