"""The panel that napari docks: all sections around one `Control`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QPushButton

from napari_disca.core.threads import limit_network_threads, limit_spinning
from napari_disca.gui.panels.image.start_panel import StartPanel
from napari_disca.gui.panels.parts.fitted_area import FittedArea
from napari_disca.gui.panels.parts.sections import describe
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.window.file_verbs import FileVerbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari import Viewer

    from napari_disca.gui.toolkit.saved_settings import SavedSettings
    from napari_disca.session.session import Session

#: Verbs about the view, and of help, with the texts of their buttons.
_VIEW_BUTTONS = {
    "go_to": "Go to…",
    "overlay": "Overlay…",
    "hide": "Hide map",
    "style": "Outline",
    "uncertainty": "Uncertainty",
    "keys": "Keys",
    "settings": "Settings…",
}


class DiscaWidget(FittedArea):
    """The plugin's panel: corrects a segmentation map by clicking on its mistakes.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        limit_spinning()  # before torch is imported, if it is not yet
        from napari_disca.gui.tasks.control import Control
        from napari_disca.gui.toolkit.writer_order import offer_our_writer_first
        from napari_disca.raster import warm

        limit_network_threads()
        offer_our_writer_first()
        warm()  # so that the first image opens faster
        self.viewer = napari_viewer
        self.control = Control(napari_viewer, self)
        self._folded = self._left_viewer = False
        self._make_panels()
        self._make_controllers()
        self._connect()
        self._on_verbs()
        self.choice.choose()

    def _make_panels(self) -> None:
        from napari_disca.gui.panels.image.image_panel import ImagePanel
        from napari_disca.gui.panels.image.resume_banner import ResumeBanner
        from napari_disca.gui.window.layout import Panels

        self.view_buttons = {name: QPushButton(text) for name, text in _VIEW_BUTTONS.items()}
        for name, button in self.view_buttons.items():
            button.clicked.connect(partial(self._do, name))
        self.start_panel = StartPanel(self.viewer, self._guarded)
        self.image_panel = ImagePanel(self.viewer)
        self.resume_banner = ResumeBanner()
        self.panels = panels = Panels(self.image_panel, self.view_buttons)
        self.sections = panels.sections
        self.classes_panel, self.refine_panel = panels.classes, panels.refine
        self.compare_panel, self.ripple_panel = panels.compare, panels.ripple
        self.history_panel, self.locks_panel = panels.history, panels.locks
        self.draw_panel = panels.draw
        self.set_body(panels.body(self.start_panel, self.resume_banner))
        self.start_panel.shown.connect(self._on_start)
        self._on_start(self.start_panel.isVisibleTo(self))

    def _make_controllers(self) -> None:
        from napari_disca.gui.tasks.draw_controller import DrawController
        from napari_disca.gui.tasks.opening.image_choice import ImageChoice
        from napari_disca.gui.tasks.opening.image_opening import ImageOpening
        from napari_disca.gui.tasks.opening.journal_controller import JournalController
        from napari_disca.gui.tasks.opening.shown_bands import ShownBands
        from napari_disca.gui.tasks.review.place_outline import PlaceOutline
        from napari_disca.gui.tasks.review.review_controller import ReviewController
        from napari_disca.gui.tasks.review.review_places import ReviewPlaces
        from napari_disca.gui.tasks.review.ripple_controller import RippleController
        from napari_disca.gui.toolkit.saved_settings import SavedSettings
        from napari_disca.gui.viewer.canvas.draw_tool import DrawTool
        from napari_disca.gui.window.class_editor import ClassEditor
        from napari_disca.gui.window.review_guide import ReviewGuide

        control = self.control
        tool = DrawTool(self, self.viewer, lambda: control.layers, self._colour)
        outline = PlaceOutline(tool.outline)
        self.ripple = RippleController(self.ripple_panel, control, outline.region, self)
        self.drawing = DrawController(self.draw_panel, tool, control, self._say, self)
        self.guide = ReviewGuide(self, self.panels, control, self.viewer)
        self.reviewing = ReviewController(
            self.panels.review, control, outline.review, self.guide.tell, self
        )
        self.review_places = ReviewPlaces(self.panels.queue, control, self)
        journals = JournalController(self.resume_banner, self)
        image_panel, settings = self.image_panel, SavedSettings(self)
        self.choice = ImageChoice(control, image_panel, settings.computing, journals.find, self)
        self.opening = ImageOpening(control, image_panel, journals, self.choice, self)
        opening = self.opening
        self.files = FileVerbs(self, control, opening.session, opening.with_session)
        self.class_editor = ClassEditor(
            self.classes_panel, self._open_session, opening.with_session, self.files, self._say
        )
        self.shown_bands = ShownBands(self.viewer, image_panel, self.choice)
        self._make_keys()
        self._make_settings(settings)
        self._make_messages(settings)

    def _make_keys(self) -> None:
        from napari_disca.gui.window.verb_actions import VerbActions
        from napari_disca.gui.window.viewer_controller import ViewerController

        verbs = VerbActions(
            self.panels,
            self.control,
            self.class_editor,
            self.drawing,
            self.reviewing,
            self.ripple,
            arm=self.arm,
            say=self._say,
        )
        shown = {"settings": lambda: self.settings.show(), "overlay": self.files.show_overlays}
        self.viewer_controls = ViewerController(
            self,
            self.viewer,
            self.control,
            self.image_panel.image,
            {**verbs.actions(), **shown},
            {"blink": self.ripple.release_blink},
            verbs.when(),
        )

    def _make_settings(self, settings: SavedSettings) -> None:
        from napari_disca.gui.tasks.long_work import LongWork
        from napari_disca.gui.window.settings_controller import SettingsController

        self.long_work = LongWork(self.control, self)
        self.settings: SettingsController = SettingsController(
            settings,
            self.viewer_controls,
            self.refine_panel,
            self.choice,
            self.long_work,
            self.control,
            self,
        )

    def _make_messages(self, settings: SavedSettings) -> None:
        from napari_disca.gui.tasks.estimates import Estimates
        from napari_disca.gui.tasks.undo_offer import UndoOffer
        from napari_disca.gui.window.hints import Hints
        from napari_disca.gui.window.presenter import Presenter

        control, choice = self.control, self.choice
        estimates = Estimates(control, choice, self)
        self.presenter = Presenter(
            self.panels, control, choice, estimates, self.opening.session, self
        )
        self.hints = Hints(self.sections, settings, control, self)
        self.undo_offer = UndoOffer(self.refine_panel.undo_button, control, self)

    def _connect(self) -> None:
        control, opening, refine, locks = (
            self.control,
            self.opening,
            self.refine_panel,
            self.locks_panel,
        )
        files = self.files
        refine.segment.connect(self.segment)
        refine.adapt.connect(control.adapt)
        refine.cancel.connect(control.cancel)
        refine.undo.connect(control.undo)
        refine.redo.connect(control.redo)
        refine.reset.connect(control.reset_network)
        refine.save_labels.connect(files.save_labels)
        refine.save_clicks.connect(files.save_clicks)
        refine.load_clicks.connect(files.load_clicks)
        refine.doubtful.connect(control.next_doubtful)
        refine.refused.connect(show_error)
        self.history_panel.went.connect(control.go)
        locks.draw.connect(self._draw_area)
        locks.view.connect(control.locking.lock_view)
        locks.unlock.connect(control.locking.unlock_selected)
        locks.save.connect(files.save_areas)
        locks.load.connect(files.load_areas)
        self.draw_panel.save.connect(files.save_strokes)
        self.panels.review.save_review.connect(files.save_review)
        self.image_panel.chosen.connect(self.choice.choose)
        self.classes_panel.armed.connect(self.arm)
        self.classes_panel.other_colours.connect(self.viewer_controls.toggle_colours)
        self.compare_panel.switched.connect(self._compare)
        opening.changed.connect(self._show)
        opening.changed.connect(self.shown_bands.follow)
        self.image_panel.bands.shown.connect(self.shown_bands.choose)
        opening.opened.connect(self._on_opened)
        control.changed.connect(self._show)
        self.destroyed.connect(control.shut_down)
        self.viewer_controls.reading_changed.connect(
            lambda reading: self.classes_panel.show_place(reading.short)
        )
        self.viewer_controls.verbs_changed.connect(self._on_verbs)

    def _on_verbs(self) -> None:
        """Put the keys of the verbs into tooltips, menus and hints."""
        verbs = {verb.name: verb for verb in self.viewer_controls.verbs()}
        panels = self.panels
        for panel in (panels.refine, panels.locks, panels.ripple, panels.draw, panels.review):
            panel.verbs = verbs
        for name, button in self.view_buttons.items():
            button.setToolTip(verbs[name].tooltip)
        self.class_editor.fill_menu(verbs.values())
        self.hints.tell_keys(verbs)
        self._show()
        describe([*self.panels.buttons().values(), *self.view_buttons.values()])

    def _say(self, line: str) -> None:
        self.viewer_controls.say(line)

    def _colour(self) -> str:
        """Colour of the chosen class, as hexadecimal."""
        from napari_disca.gui.viewer.colours.class_colours import shown_classes

        layers = not_none(self.control.layers)
        return str(shown_classes(layers.session)[layers.label].color)

    def _do(self, name: str) -> None:
        self.viewer_controls.do(name)

    def _guarded(self, action: Callable[[], object]) -> None:
        """Call a function, and show an error in one line."""
        try:
            action()
        except Exception as error:
            tell_error(error)

    def _show(self) -> None:
        self.presenter.show()

    # ------------------------------------------------------------------ a session

    def _open_session(self) -> Session:
        """Return the session; called only while one is open."""
        session = self.control.session
        assert session is not None
        return session

    def _on_start(self, shown: bool) -> None:
        """Show only the start panel while there is no image."""
        self.panels.show_sections(not shown)
        if shown:
            not_none(self.verticalScrollBar()).setValue(0)

    def _on_opened(self) -> None:
        """Fold the section *Image* once, if the panel is higher than its window."""
        self.settings.apply_limits()
        if not self._folded and self.height() < not_none(self.widget()).sizeHint().height():
            self._folded = True
            self.sections["Image"].fold(True)

    # ------------------------------------------------------------------ verbs

    def segment(self) -> None:
        """Compute the maps of the chosen image."""
        self.opening.with_session(self.control.segment)

    def arm(self, label: int) -> None:
        """Make the next click one of this class."""
        self.opening.with_session(lambda: self._arm(label))

    def _arm(self, label: int) -> None:
        layers = self.control.layers
        if layers is None or label >= len(layers.session.document.classes):
            return
        if not layers.click_layers.relabel_selected(label):
            layers.arm(label)
            self.classes_panel.choose(label)

    def _draw_area(self) -> None:
        self.opening.with_session(self._draw_on_map)

    def _draw_on_map(self) -> None:
        layers = self.control.layers
        if layers is not None and layers.locked is not None:
            layers.locked.draw()

    def _compare(self, on: bool) -> None:
        if self.control.layers is not None:
            self.control.layers.compare(on)
        self._show()

    # ------------------------------------------------------------------ leaving

    def event(self, event: QEvent | None) -> bool:
        """Shut down when napari removes the panel from its dock."""
        if not_none(event).type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        return super().event(event)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Shut down when the panel is closed."""
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """Stop all tasks and disconnect from the viewer; the layers stay."""
        if not self._left_viewer:
            self._left_viewer = True
            self.opening.end()
            self.shown_bands.end()
            self.viewer_controls.end()
            self.settings.end()
            self.start_panel.detach()
            self.ripple.end()
            self.review_places.end()
            self.guide.end()
            self.drawing.end()
            self.control.shut_down()
            self.image_panel.detach()
