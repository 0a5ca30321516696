"""Opens the session of the chosen image: a new one, or one restored from a journal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_disca.core.errors import DiscaError
from napari_disca.gui.tasks.opening.image_choice import Choice, ImageChoice, Stage
from napari_disca.gui.tasks.opening.journal_controller import JournalController
from napari_disca.gui.tasks.opening.layer_rasters import class_names
from napari_disca.gui.tasks.opening.session_opening import Opening, Resumed, new_session
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.waiting import run_on_thread
from napari_disca.inference.reading import Reading
from napari_disca.networks.compute import Compute
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari_disca.annotations.clicks import Clicks
    from napari_disca.gui.panels.image.image_panel import ImagePanel
    from napari_disca.gui.tasks.control import Control


class ImageOpening(QObject):
    """Makes the session of the chosen image when it is needed, and restores journals.

    Signals: ``changed()`` when the choice or its session changes; ``opened()`` when a session is
    shown.

    Parameters
    ----------
    control : Control
    image_panel : ImagePanel
    journals : JournalController
    choice : ImageChoice
        Actions that need a session wait until it is settled.
    parent : QObject
    """

    changed = Signal()
    opened = Signal()

    def __init__(
        self,
        control: Control,
        image_panel: ImagePanel,
        journals: JournalController,
        choice: ImageChoice,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._control, self._image_panel, self._journals = control, image_panel, journals
        self._choice = choice
        self._ended = False
        #: The choice that the session was made for.
        self._opened: Choice | None = None
        #: What the user wants to do with the session of the image being examined, and that image.
        self._then: list[Callable[[], object]] = []
        self._then_of: Image | None = None
        #: Called once the examination has ended.
        self._afterwards: Callable[[], object] | None = None
        #: Clicks of images from which the user has changed to another, by frame and class names.
        self._left: WeakKeyDictionary[Image, dict[object, Clicks]] = WeakKeyDictionary()
        control.changed.connect(self._on_changed)
        choice.waiting.connect(self.changed)
        choice.settled.connect(self._on_settled)
        journals.wanted.connect(self.go_on)

    def session(self) -> Session | None:
        """The session of the choice; None if it is not made yet."""
        return self._control.session if self._opened == self._choice.chosen else None

    def end(self) -> None:
        """Offer no more journals: the panel is closing."""
        self._ended = True

    def _on_changed(self) -> None:
        session = self.session()
        if session is not None and session.document.can_undo:
            self._journals.show_journals(None)  # the user has started without it

    def _on_settled(self) -> None:
        """Offer the journals of the choice, and run the actions that have waited for it."""
        control, opened, chosen = self._control, self._opened, self._choice.chosen
        if control.pending.opening is not None and control.pending.opening.what != chosen:
            control.pending.drop_opening()
        # While this window corrects the image, its journal is in use here.
        at_work = opened.image if opened is not None and control.session is not None else None
        if chosen is None or at_work == chosen.image:
            self._journals.show_journals(None)
        elif self._choice.journals is not None:
            self._journals.show_found(self._choice.journals)
        self.changed.emit()
        action, self._afterwards = self._afterwards, None
        if action is not None:
            action()
        then, self._then = self._then, []
        if chosen is not None and self._then_of is chosen.layer:
            for action in then:
                self.with_session(action)

    # ------------------------------------------------------------------ a new session

    def with_session(self, then: Callable[[], object]) -> None:
        """Call a function once the session of the choice is open; it is made first if needed."""
        if self._choice.is_examining or self._choice.stage is Stage.CANCELLED:
            if self._then_of is not self._choice.layer:
                self._then.clear()
            self._then_of = self._choice.layer
            self._then.append(then)
            if not self._choice.is_examining:
                self._choice.choose()
            return
        choice = self._choice.chosen
        if choice is None:
            show_error("Open an image and choose a network first")
            return
        if self.session() is not None:
            then()
            return
        opening = self._control.pending.opening
        if opening is None or opening.what != choice:
            job = new_session(
                choice.raster,
                choice.weights,
                self._image_panel.allows(choice.weights),
                choice.reading,
                partial(Compute.choose, choice.device, choice.precision),
                self._journals.restored,
            )
            opening = self._control.pending.begin(choice, job)
            opening.opened.connect(self._on_opened)
            opening.failed.connect(self._on_failed)
        opening.then.append(then)

    def _on_opened(self, session: Session) -> None:
        opening = self._control.pending.take_opening()
        choice = self._choice.chosen
        assert choice is not None
        self._open(session, choice, choice.weights)
        left = self._left.get(choice.layer, {})
        if (
            clicks := left.get((choice.frame, class_names(session)))
        ) and not session.document.can_undo:
            session.document.set_clicks(clicks, "take over the clicks")
        self.changed.emit()
        for then in opening.then:
            then()

    def _on_failed(self, error: Exception) -> None:
        self._control.pending.opening = None
        tell_error(error)
        self.changed.emit()

    def _open(self, session: Session, choice: Choice, weights: str) -> None:
        """Show a session instead of the one before."""
        control, opened = self._control, self._opened
        before = control.session
        if before is not None and opened is not None:
            left = self._left.setdefault(opened.layer, {})
            left[opened.frame, class_names(before)] = before.document.clicks
            if opened.image != choice.image:
                self._journals.remember(before)
        control.open(choice.layer, session)
        if before is not None and before.raster is not session.raster:
            before.raster.close()
        if session.document.journal is None:
            self._journals.begin(session, weights)
        self._opened = choice
        if control.layers is not None:
            control.layers.show()
        self.opened.emit()

    # ------------------------------------------------------------------ an earlier session

    def go_on(self, journal: Path) -> None:
        """Restore the session of a journal on a thread, then show it."""
        choice = self._choice.chosen
        if choice is None:
            return
        control, journals = self._control, self._journals
        looked = control.session if self._opened and self._opened.image == choice.image else None
        if looked is not None:
            looked.close()  # nothing was done in it; two sessions cannot hold one journal
        job = journals.resume_job(journal, choice.raster, choice.weights, self._image_panel.agreed)
        if job is None:
            if looked is not None:
                journals.begin(looked, choice.weights)
            return
        if looked is not None:
            control.close()  # a click on it now would be lost
        opening = control.pending.begin(choice, job)
        opening.opened.connect(self._on_resumed)
        opening.failed.connect(partial(self._on_not_resumed, journal))
        opening.dropped.connect(self._on_left)

    def _on_resumed(self, resumed: Resumed) -> None:
        opening = self._control.pending.take_opening()
        assert self._choice.chosen is not None
        layer, session = self._choice.chosen.layer, resumed.session
        if resumed.weights != self._image_panel.weights():
            self._image_panel.choose_network(resumed.weights)
        reading = run_on_thread(lambda: Reading.of(session.network_view))
        self._image_panel.show_reading(reading, session.raster, session.network_view.card)
        self._afterwards = partial(self._show_resumed, resumed, layer, opening)
        self._choice.choose()

    def _show_resumed(self, resumed: Resumed, layer: Image, opening: Opening) -> None:
        """Show a restored session, unless another image was chosen meanwhile."""
        choice = self._choice.chosen
        if choice is None or choice.layer is not layer:
            resumed.close()
            return
        self._open(resumed.session, choice, resumed.weights)
        self._journals.show_journals(None)
        self._control.segment()
        self.changed.emit()
        for then in opening.then:
            then()

    def _on_not_resumed(self, journal: Path, error: Exception) -> None:
        raster = self._control.chosen
        if isinstance(error, DiscaError) and raster is not None:
            self._control.pending.opening = None
            self.changed.emit()
            self._journals.failed(journal, raster, error)
        else:
            self._on_failed(error)
            self._journals.show_journals(raster)

    def _on_left(self) -> None:
        """Offer the journal again whose restoring was cancelled."""
        idle = self._control.pending.opening is None and self._control.session is None
        if idle and not self._ended:
            self._afterwards = self._show_journals_again
            self._choice.choose()

    def _show_journals_again(self) -> None:
        chosen = self._choice.chosen
        self._journals.show_journals(chosen.raster if chosen is not None else None)
