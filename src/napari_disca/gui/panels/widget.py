"""The panel: image, classes, correction and comparison, around one `Control`."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QAbstractButton, QPushButton, QScrollArea, QStyle, QVBoxLayout, QWidget
from superqt.utils import qthrottled

from napari_disca.core.errors import DiscaError
from napari_disca.core.threads import keep_cores_free, leave_a_core
from napari_disca.gui.panels.file_verbs import FileVerbs
from napari_disca.gui.panels.sections import Section, describe
from napari_disca.gui.panels.start_panel import StartPanel
from napari_disca.gui.tasks.sources import class_names
from napari_disca.gui.viewer.verbs import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_disca.annotations.clicks import Clicks
    from napari_disca.core.events import Job, Progress
    from napari_disca.gui.tasks.opening import Resumed
    from napari_disca.session.session import Session

#: Verbs about the view that have a button, and its text.
_LOOKS = {"hide": "Hide map", "style": "Outline", "uncertainty": "Uncertainty"}
_WORKING = "wait until it is done, or cancel"
#: Milliseconds between two figures of progress. With each, the panel is laid out and the window
#: painted anew, canvas and all.
_TELL = 200


class DiscaWidget(QScrollArea):
    """Correct a segmentation map by clicking on its mistakes.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        keep_cores_free()  # before torch is imported, if it is not yet
        from napari_disca.gui.panels.classes_panel import ClassesPanel
        from napari_disca.gui.panels.compare_panel import ComparePanel
        from napari_disca.gui.panels.history_panel import HistoryPanel
        from napari_disca.gui.panels.image_panel import ImagePanel
        from napari_disca.gui.panels.locks_panel import LocksPanel
        from napari_disca.gui.panels.refine_panel import RefinePanel
        from napari_disca.gui.panels.resume_banner import ResumeBanner
        from napari_disca.gui.panels.ripple_panel import RipplePanel
        from napari_disca.gui.plugin.writer_order import offer_our_writer_first
        from napari_disca.gui.tasks.control import Control
        from napari_disca.gui.tasks.journal_controller import JournalController
        from napari_disca.gui.tasks.ripple_controller import RippleController
        from napari_disca.gui.viewer.desk import Desk
        from napari_disca.raster import warm

        leave_a_core()
        offer_our_writer_first()
        warm()  # an image will be opened
        self.viewer = napari_viewer
        self.control = Control(napari_viewer, self)
        self.image_panel = ImagePanel(napari_viewer)
        self.classes_panel = ClassesPanel()
        self.refine_panel = RefinePanel()
        self.compare_panel = ComparePanel()
        self.ripple_panel = RipplePanel()
        self.ripple = RippleController(self.ripple_panel, self.control, self)
        self.history_panel = HistoryPanel()
        self.locks_panel = LocksPanel()
        self.offer = ResumeBanner()
        self.journal_controller = JournalController(self.offer, self)
        self.view_buttons: dict[str, QPushButton] = {}
        self._lay_out()

        verbs, control = self.refine_panel, self.control
        files = self._files = FileVerbs(self, control, self._session, self._with_session)
        verbs.segment.connect(self.segment)
        verbs.adapt.connect(control.adapt)
        verbs.cancel.connect(control.cancel)
        verbs.undo.connect(control.undo)
        verbs.redo.connect(control.redo)
        verbs.reset.connect(control.reset_network)
        verbs.save_labels.connect(files.save_labels)
        verbs.save_clicks.connect(files.save_clicks)
        verbs.load_clicks.connect(files.load_clicks)
        verbs.doubtful.connect(control.next_doubtful)
        verbs.refused.connect(show_error)
        self.history_panel.went.connect(control.go)
        self.locks_panel.draw.connect(self._draw_area)
        self.locks_panel.view.connect(control.lock_view)
        self.locks_panel.unlock.connect(control.unlock_selected)
        self.locks_panel.save.connect(files.save_areas)
        self.locks_panel.load.connect(files.load_areas)
        self.journal_controller.wanted.connect(self.go_on)
        control.changed.connect(self._show)
        self._tell_progress = qthrottled(self._show_progress, timeout=_TELL, parent=self)
        control.progressed.connect(self._on_progress)
        verbs.precision_chosen.connect(self._on_chosen)
        verbs.disk_chosen.connect(self._allow_disk)
        self.image_panel.chosen.connect(self._on_chosen)
        self.classes_panel.armed.connect(self.arm)
        self.compare_panel.switched.connect(self._compare)
        self.destroyed.connect(control.shut_down)
        self._left_viewer = self._folded = False
        #: The choice is being looked at, and was changed meanwhile.
        self._choosing = self._chosen_again = False
        self._card: Any = None
        #: The layer that `control.chosen` reads.
        self._looked_at: Any = None
        #: Image layer, network, factor by hand and precision: as chosen, and as the session was
        #: made for.
        self._chosen: tuple[Any, str, float | None, str] | None = None
        self._opened: tuple[Any, str, float | None, str] | None = None
        #: Clicks of images that were left for another, by the names of the classes.
        self._left: WeakKeyDictionary[Layer, dict[tuple[str, ...], Clicks]] = WeakKeyDictionary()
        self.desk = Desk(
            self,
            napari_viewer,
            control,
            self.image_panel.image,
            self._verbs(),
            {"blink": self.ripple.release_blink},
        )
        self.desk.told.connect(lambda reading: self.classes_panel.show_place(reading.short))
        self.desk.verbs_changed.connect(self._on_verbs)
        self.classes_panel.other_colours.connect(self.desk.toggle_colours)
        self._on_verbs()
        self._on_chosen()

    def _verbs(self) -> dict[str, Callable[..., object]]:
        """What verbs with buttons do: they press the button, if it can be pressed."""
        buttons = {**self.refine_panel.buttons, **self.locks_panel.verb_buttons()}
        buttons |= {"compare": self.compare_panel.switch, **self.ripple_panel.buttons}
        pressed = {name: partial(self._press, button) for name, button in buttons.items()}
        return {**pressed, "class": self.arm, "blink": self.ripple.press_blink}

    def _press(self, button: QAbstractButton) -> None:
        if button.isEnabled():
            button.click()
        else:
            self.desk.say(f"{button.text()}: {button.toolTip().rpartition('Not now: ')[2]}")

    def _on_verbs(self) -> None:
        """Tell the keys in the tooltips."""
        verbs = {verb.name: verb for verb in self.desk.verbs()}
        self.refine_panel.verbs = self.locks_panel.verbs = self.ripple_panel.verbs = verbs
        for name, button in self.view_buttons.items():
            button.setToolTip(verbs[name].tooltip)
        self._show()
        describe(self.refine_panel.buttons.values())
        describe(self.locks_panel.buttons.values())
        describe(self.ripple_panel.buttons.values())
        describe(self.view_buttons.values())

    def _lay_out(self) -> None:
        """Put all parts under the headings of the work: image, map, correct, review, deliver."""
        refine, locks = self.refine_panel, self.locks_panel
        self.start_panel = StartPanel(self.viewer, self._guarded)
        self.sections = {name: Section(name) for name in GROUPS if name != "Help"}
        parts = self.sections
        for name, text in (("go_to", "Go to…"), *_LOOKS.items()):
            button = self.view_buttons[name] = QPushButton(text)
            button.clicked.connect(partial(self._do, name))
        parts["Image"].add(self.image_panel)
        parts["Map"].add_buttons(
            [refine.buttons["segment"], refine.buttons["cancel"], *self.view_buttons.values()]
        )
        parts["Map"].add(self.compare_panel)
        parts["Correct"].add(self.classes_panel)
        parts["Correct"].add_buttons([refine.buttons[n] for n in ("adapt", "undo", "redo")])
        parts["Correct"].add(self.ripple_panel, refine, self.history_panel)
        parts["Review"].add_buttons(
            [refine.buttons["doubtful"], *(locks.buttons[n] for n in ("draw", "view", "unlock"))]
        )
        parts["Review"].add(locks)
        parts["Deliver"].add_buttons(
            [
                *(refine.buttons[n] for n in ("save_labels", "save_clicks", "load_clicks")),
                *(locks.buttons[n] for n in ("save", "load")),
                refine.buttons["reset"],
            ]
        )
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self.start_panel)
        layout.addWidget(parts["Image"])
        layout.addWidget(self.offer)
        layout.addWidget(parts["Map"])
        # Whatever is folded away, how far the work is can be seen.
        for widget in (refine.bar, refine.stage, refine.status):
            layout.addWidget(widget)
        for name in ("Correct", "Review", "Deliver"):
            layout.addWidget(parts[name])
        layout.addStretch(1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fit()
        self.setFrameShape(QScrollArea.Shape.NoFrame)

    def _fold_image(self) -> None:
        """What was chosen makes room for the work where the screen is low, once."""
        if not self._folded and self.height() < self.widget().sizeHint().height():
            self._folded = True
            self.sections["Image"].fold(True)

    def _do(self, name: str) -> None:
        self.desk.do(name)

    def _guarded(self, action: Callable[[], object]) -> None:
        """Do something at once; what is wrong with a file is told in one line."""
        try:
            action()
        except Exception as error:
            self.control.tell_error(error)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Fit when Qt lays out the body: once for all that has changed in the panels."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self._fit()
        return super().eventFilter(watched, event)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Fit to what has changed while nobody looked."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Leave room for the scroll bar: what is wider than the panel cannot be reached."""
        bar = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        width = self.widget().minimumSizeHint().width() + bar + 8
        if self.minimumWidth() != width:
            self.setMinimumWidth(width)

    # ------------------------------------------------------------------ choosing

    def _on_chosen(self) -> None:
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
        from napari_disca.gui.tasks.waiting import off_the_window
        from napari_disca.inference.network_view import NetworkView
        from napari_disca.networks import read_card
        from napari_disca.session.preferences import recall, remember

        layer = self.image_panel.image()
        before, self._chosen = self._chosen, None
        unreadable: DiscaError | None = None
        try:
            if layer is not self._looked_at:
                self._look_at(layer)
        except DiscaError as error:
            unreadable = error
        weights = self.image_panel.weights()
        try:
            if before is None or before[1] != weights:
                self._card = off_the_window(lambda: read_card(weights)) if weights else None
            self.image_panel.show_card(self._card)
            if layer is None or self._card is None:
                lacks = "an image: drop a GeoTIFF on the window" if layer is None else "a network"
                self.image_panel.show_factor(1.0, f"Open {lacks}")
            elif unreadable is not None:
                raise unreadable
            else:
                raster, card = self.control.chosen, self._card
                if before is None or before[:2] != (layer, weights):
                    self.image_panel.recall_factor(off_the_window(lambda: recall(raster, card)))
                factor = self.image_panel.hand_factor()
                inputs = off_the_window(lambda: NetworkView(raster, card, factor=factor))
                if before is not None and before[:2] == (layer, weights) and before[2] != factor:
                    off_the_window(lambda: remember(raster, card, factor))
                self.image_panel.show_factor(inputs.factor, inputs.describe())
                self._chosen = (layer, weights, factor, self.refine_panel.precision.currentText())
        except DiscaError as error:
            self.image_panel.show_factor(1.0, str(error))
        opening = self.control.opening
        if opening is not None and opening.what != self._chosen:
            self.control.drop_opening()
        # While the image is being corrected, its journal is this window's.
        here = self._opened is not None and self.control.session is not None
        at_work = here and self._opened[0] is layer
        looked_at = None if at_work or self._chosen is None else self.control.chosen
        if looked_at is None or before is None or before[0] is not layer:
            self.journal_controller.look(looked_at)
        self._show()

    def _look_at(self, layer: Any) -> None:
        """Read from another image, which proposes a network."""
        from napari_disca.gui.tasks.sources import looked_at
        from napari_disca.gui.tasks.waiting import off_the_window

        self._looked_at = None
        self.image_panel.show_image(None, ())
        if layer is not None:
            raster, proposal, lines = off_the_window(lambda: looked_at(layer))
            self._take_raster(raster)
            self._looked_at = layer
            self.image_panel.show_image(proposal, lines)

    def _take_raster(self, raster: Any) -> None:
        """Read from another image; the one before is closed, unless its session is open."""
        # The control has it: it is told when the window goes, unlike this widget.
        before, self.control.chosen = self.control.chosen, raster
        session = self.control.session
        if before is not None and (session is None or session.raster is not before):
            before.close()

    def _session(self) -> Session | None:
        """The session of what is chosen, if it is there."""
        return self.control.session if self._opened == self._chosen else None

    def _with_session(self, then: Callable[[], object]) -> None:
        """Do something with the session of what is chosen, which is made first if need be."""
        if self._chosen is None:
            show_error("Open an image and choose a network first")
            return
        if self._session() is not None:
            then()
            return
        opening = self.control.opening
        if opening is None or opening.what != self._chosen:
            _, weights, factor, precision = self._chosen
            allowed = self.image_panel.allows(weights)
            job = self._opening(self.control.chosen, weights, allowed, factor, precision)
            opening = self.control.begin(self._chosen, job)
            opening.opened.connect(self._on_opened)
            opening.failed.connect(self._on_failed)
        opening.then.append(then)

    def _opening(
        self, raster: Any, weights: str, allowed: bool, factor: float | None, precision: Any
    ) -> Job[Session]:
        """Job that makes a session."""
        from napari_disca.networks import load_network
        from napari_disca.networks.compute import Compute
        from napari_disca.session.session import Session

        network = load_network(weights, allow_torchscript=allowed)
        session = self.journal_controller.returned(raster, network, factor)
        if session is None:
            compute = Compute.choose(precision=precision)
            session = Session(raster, network, factor=factor, compute=compute)
        return session
        yield

    def _on_opened(self, session: Session) -> None:
        opening, self.control.opening = self.control.opening, None
        assert opening is not None
        assert self._chosen is not None
        layer, weights, *_ = self._chosen
        self._open(session, weights)
        if (kept := self._left.get(layer, {}).get(class_names(session))) and not session.can_undo:
            session.set_clicks(kept, "take over the clicks")
        self._show()
        for then in opening.then:
            then()

    def _on_failed(self, error: Exception) -> None:
        self.control.opening = None
        self.control.tell_error(error)
        self._show()

    def go_on(self, journal: Path) -> None:
        """Go on with a session where its journal ends."""
        if self._chosen is None:
            return
        layer, weights, *_ = self._chosen
        control, journals = self.control, self.journal_controller
        looked = control.session if self._opened and self._opened[0] is layer else None
        if looked is not None:
            looked.close()  # opened to have a look; its journal makes room
        job = journals.resuming(journal, control.chosen, weights, self.image_panel.agreed)
        if job is None:
            if looked is not None:
                journals.keep(looked, weights)
            return
        if looked is not None:
            control.close()  # a click on it now would be lost
        opening = control.begin(self._chosen, job)
        opening.opened.connect(self._on_resumed)
        opening.failed.connect(partial(self._on_not_resumed, journal))
        opening.dropped.connect(self._on_left)

    def _on_resumed(self, resumed: Resumed) -> None:
        from napari_disca.gui.tasks.journal_controller import factor_by_hand

        opening, self.control.opening = self.control.opening, None
        assert opening is not None
        assert self._chosen is not None
        layer, session = self._chosen[0], resumed.session
        if resumed.weights != self.image_panel.weights():
            self.image_panel.choose_network(resumed.weights)
        self.image_panel.recall_factor(factor_by_hand(session))
        self._on_chosen()
        if self._chosen is None or self._chosen[0] is not layer:
            session.close()
            return
        self._open(session, resumed.weights)
        self.journal_controller.look(None)
        self.control.segment()
        self._show()
        for then in opening.then:
            then()

    def _on_not_resumed(self, journal: Path, error: Exception) -> None:
        if isinstance(error, DiscaError):
            self.control.opening = None
            self._show()
            self.journal_controller.failed(journal, self.control.chosen, error)
        else:
            self._on_failed(error)
            self.journal_controller.look(self.control.chosen)

    def _on_left(self) -> None:
        """Offer a journal again that was not waited for."""
        idle = self.control.opening is None and self.control.session is None
        if idle and not self._left_viewer:
            self._on_chosen()
            self.journal_controller.look(self.control.chosen if self._chosen else None)

    def _open(self, session: Session, weights: str) -> None:
        """Show a session, instead of the one before."""
        control = self.control
        before = control.session
        assert self._chosen is not None
        layer = self._chosen[0]
        if before is not None and self._opened is not None:
            left = self._left.setdefault(self._opened[0], {})
            left[class_names(before)] = before.clicks
            if self._opened[0] is not layer:
                self.journal_controller.leave(before)
        control.open(layer, session)
        if before is not None and before.raster is not session.raster:
            before.raster.close()
        if session.journal is None:
            self.journal_controller.keep(session, weights)
        self._opened = self._chosen
        self._allow_disk()
        control.layers.show()
        self._fold_image()

    def _allow_disk(self) -> None:
        """Let the session's features take as much disk as is chosen."""
        if self.control.session is not None:
            self.control.session.features.allow_disk(self.refine_panel.disk.value() << 30)

    # ------------------------------------------------------------------ verbs

    def segment(self) -> None:
        """Draw the maps of the chosen image."""
        self._with_session(self.control.segment)

    def arm(self, label: int) -> None:
        """Make the next click one of this class."""
        self._with_session(lambda: self._arm(label))

    def _arm(self, label: int) -> None:
        control = self.control
        clicks = control.layers.click_layers
        if label < len(control.session.classes) and not clicks.relabel_selected(label):
            control.layers.arm(label)
            self.classes_panel.choose(label)

    def _draw_area(self) -> None:
        self._with_session(lambda: self.control.layers.locked.draw())

    def _compare(self, on: bool) -> None:
        if self.control.layers is not None:
            self.control.layers.compare(on)
        self._show()

    # ------------------------------------------------------------------ showing

    def _show(self) -> None:
        """Make the panels show the state."""
        from napari_disca.annotations.clicks import Clicks
        from napari_disca.gui.panels.compare_panel import difference
        from napari_disca.gui.viewer.layers import TITLES

        control, session = self.control, self._session()
        there = session is not None
        clicks = session.clicks if there else Clicks()
        maps = session.maps if there else {}
        drawn = {name: name in maps and bool(maps[name].levels[-1].any()) for name in TITLES}
        nothing = "open an image and choose a network" if self._chosen is None else ""
        clickless = nothing or ("" if len(clicks) else "there are no clicks")
        mapless = nothing or ("there is no map yet: press Segment" if not drawn["disir"] else "")
        self.refine_panel.enable(
            segment=nothing or ("the network is learning" if there and control.learning else ""),
            adapt=clickless or (_WORKING if control.learning else ""),
            cancel="" if control.busy else "nothing runs",
            undo="" if there and session.can_undo else "nothing was done yet",
            redo="" if there and session.can_redo else "nothing was taken back",
            reset="" if there and session.adapted is not None else "it was not adapted",
            save_labels=("there is no map yet: press Segment" if not any(drawn.values()) else "")
            or (_WORKING if control.busy else ""),
            save_clicks=clickless,
            load_clicks=nothing,
            doubtful=mapless,
        )
        locks = session.locks if there else ()
        self.locks_panel.enable(
            draw=mapless,
            view=mapless,
            unlock="" if locks else "nothing is locked",
            save="" if locks else "nothing is locked",
            load=mapless,
        )
        if there and session.can_undo:
            self.journal_controller.look(None)  # the user has begun anew
        self.history_panel.show_steps(
            session.history if there else (), session.position if there else 0
        )
        self.history_panel.setVisible(there)
        adapted = there and session.adapted is not None
        self.ripple_panel.setVisible(adapted)
        counts = session.lock_counts() if there else (0, 0)
        self.locks_panel.show_counts(len(locks), *counts, adapted)
        for name, action in self.refine_panel.saves.items():
            action.setEnabled(drawn[name] and (adapted or name != "disca"))
        self._show_status()
        if self._card is not None:
            self._show_classes(clicks)
        self.compare_panel.show_state(
            bool(drawn["disir"]),
            there and control.layers is not None and control.layers.comparing,
            difference(session) if drawn["disir"] else "",
        )

    def _show_classes(self, clicks: Clicks) -> None:
        classes, colours = self._card.classes, self.desk.colours
        self.classes_panel.show_classes(colours.shown(classes), clicks)
        verb = "Network's colours" if colours.safe(classes) else "Safer colours"
        self.classes_panel.show_warning(colours.warning(classes), verb)

    def _on_progress(self, progress: Progress) -> None:
        self._tell_progress(progress)
        if progress.total <= 0:
            self._tell_progress.flush()  # nothing runs any more

    def _show_progress(self, progress: Progress) -> None:
        self.refine_panel.show_progress(progress)
        self._show_status()

    def _show_status(self) -> None:
        self.refine_panel.status.setText(self._status())

    def _status(self) -> str:
        session = self._session()
        if self.control.opening is not None:
            return "Making the network ready"
        if session is None:
            return "Press Segment to draw the first map" if self._chosen else ""
        if session.must_learn and not self.control.busy:
            text = "What was adapted to has changed; press Segment to learn it again"
            return f"{self.control.status}\n{text}" if self.control.status else text
        fresh = f"Near clicks {_percent(session.up_to_date('disir'))} up to date"
        if session.adapted is not None:
            fresh += f" · whole image {_percent(session.up_to_date('disca'))}"
        elif len(session.clicks):
            fresh += " · not adapted yet"
        return f"{self.control.status}\n{fresh}" if self.control.status else fresh

    # ------------------------------------------------------------------ leaving

    def event(self, event: QEvent) -> bool:
        """Let go of the viewer when napari takes the panel out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        return super().event(event)

    def closeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Let go of the viewer when the panel is closed."""
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """Stop what runs and hear no more of the viewer; the layers stay."""
        if not self._left_viewer:
            self._left_viewer = True
            self.desk.end()
            self.start_panel.detach()
            self.ripple.end()
            self.control.shut_down()
            self.image_panel.detach()


def _percent(share: float) -> str:
    """Rounded down: 100 % means all."""
    return f"{math.floor(100 * share)} %"
