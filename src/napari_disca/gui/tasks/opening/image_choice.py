"""What is chosen in the panel: an image layer and a network, and how it reads the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_disca.core.errors import DiscaError
from napari_disca.gui.tasks.opening.layer_rasters import examine_layer, lines_of_view, path_of
from napari_disca.gui.toolkit.file_reading import FileReading
from napari_disca.gui.toolkit.frames import bands_of_frame, frame_of_raster
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.reading import Reading
from napari_disca.networks import Card, read_card
from napari_disca.networks.compute import DeviceName, Precision
from napari_disca.raster import stop_examining
from napari_disca.session.preferences import recall, remember

if TYPE_CHECKING:
    from napari_disca.gui.panels.image.image_panel import ImagePanel
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.tasks.opening.journal_controller import Found
    from napari_disca.networks.proposal import Proposal
    from napari_disca.raster import Raster

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """The image, network and settings that a session is made for.

    Attributes
    ----------
    layer : napari.layers.Image
    weights : str
        Name or file of the network.
    reading : Reading
        How the image is read.
    device, precision : str
        Where and in which number format the network runs.
    raster : Raster
        Of the layer; two choices that differ in nothing else are equal.
    frame : tuple of int or str
        Which frame of a layer with a slider is read, or which layers are its bands; a choice with
        another frame is another image.
    """

    layer: Image
    weights: str
    reading: Reading
    device: DeviceName
    precision: Precision
    raster: Raster = field(compare=False)
    frame: tuple[int | str, ...] = ()

    @property
    def image(self) -> tuple[Image, tuple[int | str, ...]]:
        """Layer and frame: clicks and journals belong to them."""
        return self.layer, self.frame


class Stage(Enum):
    """How far a choice has come on its way to a session."""

    #: There is no image, or no network.
    NOTHING = "nothing"
    #: The image's file is being examined.
    EXAMINING = "examining"
    #: Card, bands and scaling are being read.
    READING = "reading"
    #: A session can be made, or is there.
    READY = "ready"
    #: The image or the network cannot be read, and the user was told why.
    FAILED = "failed"
    #: The user has cancelled; the next request starts the examination again.
    CANCELLED = "cancelled"


class ImageChoice(QObject):
    """Examines the chosen image and network in stages, until a session can be made for them.

    Files are examined on another thread, so that the window reacts meanwhile.

    Signals: ``waiting()`` when a stage takes long; ``settled()`` when the examination has ended, in
    whichever stage.

    Parameters
    ----------
    control : Control
        Holds the chosen image; its *Cancel* ends the examination.
    image_panel : ImagePanel
    computing : callable
        Returns the chosen device and number format.
    journals_of : callable
        Returns the journals of an image; called on another thread.
    parent : QObject

    Attributes
    ----------
    stage : Stage
    chosen : Choice or None
        None while it is examined, and where no session can be made for it.
    before : Choice or None
        The choice before.
    layer : napari.layers.Image or None
        The layer that is chosen or being examined.
    card : Card or None
        Of the network that is chosen.
    view : NetworkView or None
        What that network reads of the chosen image.
    journals : Found or None
        Journals of a newly chosen image, once it is settled.
    """

    waiting = Signal()
    settled = Signal()

    def __init__(
        self,
        control: Control,
        image_panel: ImagePanel,
        computing: Callable[[], tuple[DeviceName, Precision]],
        journals_of: Callable[[Raster], Found],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._control, self._image_panel = control, image_panel
        self._computing, self._journals_of = computing, journals_of
        self.stage = Stage.NOTHING
        self.chosen: Choice | None = None
        self.before: Choice | None = None
        self.layer: Image | None = None
        self.card: Card | None = None
        self.view: NetworkView | None = None
        self.journals: Found | None = None
        self._when_settled: list[Callable[[], object]] = []
        #: Whether another choice was made for the layer that is being examined.
        self._again = False
        #: The frame of the layer that is shown, where it has a slider.
        self._frame: tuple[int, ...] = ()
        #: Layer and frame of the raster being examined, and of `control.chosen`.
        self._place: tuple[Image | None, tuple[int | str, ...]] = (None, ())
        self._looked_at: tuple[Image | None, tuple[int | str, ...]] = (None, ())
        #: Why the image cannot be read.
        self._unreadable: DiscaError | None = None
        #: Image layer and network for which the panel shows how the image is read.
        self._shown_for: tuple[Image, str] | None = None
        #: Bands that were read because of the slider's position.
        self._frame_bands: tuple[int, ...] | None = None
        #: How the image was read in another window or on another day.
        self._preferred_reading: Reading | None = None
        #: The network of `card`.
        self._weights: str | None = None
        control.cancelled.connect(self._on_cancelled)

    def when_settled(self, action: Callable[[], object]) -> None:
        """Call a function once the examination has ended; at once if none runs."""
        if self.is_examining:
            self._when_settled.append(action)
        else:
            action()

    @property
    def is_examining(self) -> bool:
        """Whether the image or how it is read is still being examined."""
        return self.stage in (Stage.EXAMINING, Stage.READING)

    @property
    def may_be_opened(self) -> bool:
        """Whether the choice has a session, or can get one as far as is known."""
        return self.stage not in (Stage.NOTHING, Stage.FAILED)

    @property
    def name(self) -> str:
        """Name of the image that is chosen or being examined."""
        return str(self.layer.name) if self.layer is not None else ""

    def choose(self) -> None:
        """Examine what is chosen in the panel now: the image, the card, and how it is read."""
        layer = self._image_panel.image()
        unreadable: DiscaError | None = None
        frame: tuple[int, ...] = ()
        parts: tuple[Image, ...] = ()
        try:
            frame, parts = self._image_panel.frame(), self._image_panel.parts()
        except DiscaError as error:
            unreadable = error
        of_raster: tuple[int | str, ...] = tuple(part.name for part in parts)
        if frame and layer is not None:
            of_raster = frame_of_raster(layer, frame)
        place = (layer, of_raster)
        if self._control.pending.examination is not None:
            if place == self._place:
                self._again = True  # the choice made meanwhile is examined next
                return
            self._stop_examination()
        self.layer, self._frame, self._place, self._again = layer, frame, place, False
        self._unreadable = unreadable
        self.chosen = self.view = self.journals = None
        if unreadable is None and place == self._looked_at:
            self._read()
            return
        self._looked_at = (None, ())
        self._image_panel.show_image(None, ())
        if layer is None or unreadable is not None:
            self._read()
        else:
            examine = partial(examine_layer, layer, frame, parts)
            self._examine(Stage.EXAMINING, examine, self._on_examined, _close)

    def _examine(
        self,
        stage: Stage,
        function: Callable[[], T],
        found: Callable[[T], object],
        unwanted: Callable[[T], object] | None = None,
    ) -> None:
        """Run a function on another thread, and call `found` with its result."""

        def went_on(result: T) -> None:
            self._control.pending.examination = None
            found(result)

        self.stage = stage
        examination = self._control.pending.examination = FileReading(
            function, went_on, self._on_examination_failed, unwanted
        )
        examination.start()
        if examination is self._control.pending.examination:  # it takes long
            if stage is Stage.EXAMINING:
                self._image_panel.show_view(None, f"Examining {self.name}…")
            self.waiting.emit()

    def _stop_examination(self) -> None:
        """Drop the running examination, and end the process that examines the file."""
        path = path_of(self.layer) if self.layer is not None else None
        self._control.pending.drop_examination()
        if path is not None and self.stage is Stage.EXAMINING:
            stop_examining(Path(path))

    def _on_cancelled(self) -> None:
        """Stop examining, and say so."""
        if self.is_examining:
            self._stop_examination()
            line = "Examining was cancelled; press Segment to start it again"
            self._image_panel.show_view(None, line)
            self._again = False
            self._finish(Stage.CANCELLED)

    def _on_examination_failed(self, error: Exception) -> None:
        self._control.pending.examination = None
        examining = self.stage is Stage.EXAMINING
        if not isinstance(error, DiscaError):
            self._finish(Stage.FAILED)
            raise error  # a bug, which napari shows
        if examining:
            self._unreadable = error
            self._read()  # the panel shows the network in any case
        else:
            self._image_panel.show_view(None, str(error))
            self._finish(Stage.FAILED)

    def _on_examined(self, looked: tuple[Raster, Proposal, list[str]]) -> None:
        """Take over an image that was examined, and the network that is proposed for it."""
        raster, proposal, lines = looked
        # The control holds it, because the control closes it with the window.
        before, self._control.chosen = self._control.chosen, raster
        session = self._control.session
        if before is not None and (session is None or session.raster is not before):
            before.close()
        self._looked_at, self._shown_for = self._place, None
        self._image_panel.show_image(proposal, lines)
        self._read()

    def _read(self) -> None:
        """Read the network's card, and how this image was read with it before."""
        panel, weights, last_card = self._image_panel, self._image_panel.weights(), self.card
        raster = self._control.chosen if self._looked_at[0] is not None else None
        same_card = self.before is not None and weights == self._weights
        shown = self._shown_for == (self.layer, weights) or panel.reading_before() is not None

        def read() -> tuple[str, Card | None, Reading | None]:
            card = last_card if same_card else read_card(weights) if weights else None
            if shown or raster is None or card is None:
                return weights, card, None
            return weights, card, recall(raster, card)

        self._examine(Stage.READING, read, self._on_card)

    def _on_card(self, found: tuple[str, Card | None, Reading | None]) -> None:
        self._weights, self.card, saved = found
        panel, layer, card = self._image_panel, self.layer, self.card
        panel.show_card(card)
        if layer is None or card is None:
            image = "Open an image: drop a GeoTIFF on the window"
            panel.show_view(None, image if layer is None else "Choose a network")
            self._shown_for = None
            self._finish(Stage.NOTHING)
            return
        try:
            if self._unreadable is not None:
                raise self._unreadable
            choice = self._as_shown(layer, card, saved)
        except DiscaError as error:
            panel.show_view(None, str(error))
            self._finish(Stage.FAILED)
            return
        self._view(choice, card)

    def _as_shown(self, layer: Image, card: Card, saved: Reading | None) -> Choice:
        """Return the choice, after showing how the image was read before or the slider's frame."""
        panel, raster = self._image_panel, self._control.chosen
        assert raster is not None
        assert self._weights is not None
        bands = bands_of_frame(layer, raster, card, self._frame)
        if self._shown_for != (layer, self._weights):
            self._preferred_reading = None
            reading = panel.reading_before()
            if reading is None:
                reading = _possible(saved, raster, card)
                self._preferred_reading = None if reading == Reading() else reading
            if reading.bands is None:
                reading = replace(reading, bands=bands)
            panel.show_reading(reading, raster, card)
            self._shown_for = (layer, self._weights)
        elif bands != self._frame_bands and panel.bands.bands() == self._frame_bands:
            panel.show_reading(replace(panel.reading(), bands=bands), raster, card)
        self._frame_bands = bands
        reading = panel.reading()
        frame = bands if bands is not None and reading.bands == bands else self._place[1]
        return Choice(layer, self._weights, reading, *self._computing(), raster, frame)

    def _view(self, choice: Choice, card: Card) -> None:
        """Read how the network reads the image, and which journals the image has."""
        raster, before, journals_of = choice.raster, self.before, self._journals_of
        bands = choice.reading.bands
        # Bands that follow from the slider's position were not chosen by the user.
        chosen = replace(choice.reading, bands=None if bands == self._frame_bands else bands)
        other_image = before is None or before.image != choice.image
        other_reading = (
            before is not None
            and (before.layer, before.weights) == (choice.layer, choice.weights)
            and before.reading != choice.reading
        )

        def view() -> tuple[Choice, NetworkView, list[str], Found | None]:
            found = choice.reading.view(raster, card)
            if other_reading:
                remember(raster, card, chosen)
            journals = journals_of(raster) if other_image else None
            return choice, found, lines_of_view(found), journals

        self._examine(Stage.READING, view, self._on_view)

    def _on_view(self, result: tuple[Choice, NetworkView, list[str], Found | None]) -> None:
        self.chosen, self.view, lines, self.journals = result
        as_before = (
            self._preferred_reading is not None and self.chosen.reading == self._preferred_reading
        )
        self._image_panel.show_view(self.view, "as you chose it before" if as_before else "")
        self._image_panel.show_lines(lines)
        self._finish(Stage.READY)

    def _finish(self, stage: Stage) -> None:
        """End the examination in a stage, or start the next one if another choice was made."""
        self.stage = stage
        if self._again:
            self.choose()
        else:
            self.before = self.chosen
            self.settled.emit()
            actions, self._when_settled = self._when_settled, []
            for action in actions:
                action()


def _close(looked: tuple[Raster, Proposal, list[str]]) -> None:
    looked[0].close()


def _possible(saved: Reading | None, raster: Raster, card: Card) -> Reading:
    """Return how the image was read before, as far as the network can read it so."""
    reading = saved or Reading()
    bands = reading.bands
    if bands and (len(bands) != len(card.bands) or max(bands) > raster.count):
        reading = replace(reading, bands=None)
    return reading
