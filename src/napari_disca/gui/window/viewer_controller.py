"""Connects keys, appearance of the map, pointer, coordinates and legend of one viewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from napari.layers import Image, Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.canvas.canvas_legend import CanvasLegend
from napari_disca.gui.viewer.canvas.coordinates import Found
from napari_disca.gui.viewer.canvas.cursor import Cursor, Reading
from napari_disca.gui.viewer.canvas.go_to import GoTo, PlaceMenu, grid_of, look_at, texts
from napari_disca.gui.viewer.colours.class_colormap import class_features
from napari_disca.gui.viewer.colours.class_colours import other_colours, shown_classes
from napari_disca.gui.viewer.keys.key_filter import KeyFilter, main_window
from napari_disca.gui.viewer.keys.key_table import with_keys
from napari_disca.gui.viewer.keys.keys_page import KeysPage
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.layers.helper_layers import HelperLayers, is_helper
from napari_disca.gui.viewer.layers.placement import WORLD
from napari_disca.gui.viewer.layers.see_through import SeeThrough
from napari_disca.session.steps.class_table import ClassTable

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.viewer.layers.session_layers import SessionLayers

#: Milliseconds between two updates of what depends on the view.
_FOLLOW = 150


class ViewerController(QObject):
    """Does the verbs that concern the viewer: hide, outline, go to, copy, legend, keys.

    Signals: ``verbs_changed()`` when keys or colours change; ``reading_changed(Reading)`` with what
    lies under the pointer; ``keys_chosen(mapping)`` when the user has changed keys, and
    ``legend_toggled(bool)`` when the user has shown or hidden the legend; both are settings.

    Parameters
    ----------
    panel : QWidget
        Docked in the viewer's window.
    viewer : napari.Viewer
    control : Control
    image : callable
        Returns the chosen image layer, or None.
    actions : mapping of str to callable
        Actions of the panel's own verbs by name.
    released : mapping of str to callable
        Actions when the keys of verbs are released.
    when : mapping of str to callable
        Conditions under which the keys of some verbs count.
    """

    verbs_changed = Signal()
    reading_changed = Signal(object)
    keys_chosen = Signal(object)
    legend_toggled = Signal(bool)

    def __init__(
        self,
        panel: QWidget,
        viewer: Viewer,
        control: Control,
        image: Callable[[], Image | None],
        actions: Mapping[str, Callable[..., object]],
        released: Mapping[str, Callable[[float], object]] | None = None,
        when: Mapping[str, Callable[[], bool]] | None = None,
    ) -> None:
        super().__init__(panel)
        self._panel, self._viewer, self._control, self._image = panel, viewer, control, image
        self._layers: SessionLayers | None = None
        self._reported_without_crs: set[int] = set()
        self.see_through = SeeThrough(self.say)
        self.legend = CanvasLegend(viewer)
        self.cursor = Cursor(
            viewer, image, lambda: control.layers, self._on_reading, lambda: control.busy, self
        )
        self.places = PlaceMenu(viewer, self.cursor.read, self.go_to, self.say, panel)
        self._helpers = HelperLayers(viewer, panel)
        self._status_label: QLabel | None = None
        self._page: KeysPage | None = None
        see = self.see_through
        self.actions: dict[str, Callable[..., object]] = {
            "go_to": self.go_to,
            "copy_place": self.copy_place,
            "hide": see.press_hide,
            "style": see.next_style,
            "fainter": lambda: see.change_opacity(-1),
            "stronger": lambda: see.change_opacity(1),
            "uncertainty": see.toggle_uncertainty,
            "isolate": self._isolate,
            "legend": self._toggle_legend,
            "colours": self.toggle_colours,
            "keys": self.show_keys,
            **actions,
        }
        self._chosen: dict[str, str] = {}
        self._keys = KeyFilter(
            panel, self.verbs(), self.actions, {"hide": see.release_hide, **(released or {})}, when
        )
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self.cursor.look_soon)
        control.changed.connect(self._on_changed)
        self._timer = QTimer(self)
        self._timer.setInterval(_FOLLOW)
        self._timer.timeout.connect(see.follow)
        self._timer.start()
        for layer in viewer.layers:
            self._look_at(layer)

    def verbs(self) -> tuple[Verb, ...]:
        """Return all verbs with the user's keys."""
        return with_keys(self._chosen)

    def do(self, name: str) -> None:
        """Do a verb that needs no number, by its name."""
        if name == "hide":
            self.see_through.toggle()
        else:
            self.actions[name]()

    def end(self) -> None:
        """Disconnect from the viewer."""
        self._timer.stop()
        self._keys.end()
        self.cursor.end()
        self.places.end()
        self._helpers.end()
        if self._layers is not None:
            self._layers.session.document.value_changed.disconnect(self._on_value)
            self._layers = None
        self.see_through.attach(None)
        self.legend.clear()
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self.cursor.look_soon)
        if self._status_label is not None:
            self._status_label.deleteLater()
            self._status_label = None

    # ------------------------------------------------------------------ following the session

    def _on_changed(self) -> None:
        layers = self._control.layers
        if layers is not self._layers:
            if self._layers is not None:
                self._layers.session.document.value_changed.disconnect(self._on_value)
            self._layers = layers
            self.see_through.attach(layers)
            if layers is not None:
                layers.session.document.value_changed.connect(self._on_value)
            if layers is None:
                self.legend.clear()
            self.cursor.look_soon()  # the last reading was of another image
        self._show_legend()

    def _show_legend(self) -> None:
        if self._layers is not None:
            session = self._layers.session
            table = session.document.class_table
            classes, alone = shown_classes(session), self.see_through.isolated
            self.legend.show(classes, alone, table.order, table.hidden)

    def _on_value(self, value: object) -> None:
        if isinstance(value, ClassTable):
            self.show_classes()

    def show_classes(self) -> None:
        """Redraw maps, clicks and legend with the present names and colours of the classes."""
        if self._layers is not None:
            self._layers.click_layers.rename()
            for layer in self._layers.maps.values():
                layer.features = class_features(self._layers.session.document.classes)
            self.see_through.recolour()
            self._show_legend()

    def _toggle_legend(self) -> None:
        self.legend.toggle()
        self.legend_toggled.emit(self.legend.visible)

    def toggle_colours(self) -> None:
        """Change between safer colours and the network's, as a step of the history."""
        if self._layers is None:
            self.say("There is no map yet: press Segment")
            return
        session = self._layers.session
        table, which = other_colours(session)
        session.document.set_classes(table, which)
        self.say(f"Classes are shown and saved in {'the ' * (which[0] == 'n')}{which}")

    def _isolate(self, number: int) -> None:
        order = self._layers.session.document.class_table.order if self._layers is not None else ()
        self.see_through.isolate(order[number] if number < len(order) else number)
        self._show_legend()

    def _on_inserted(self, event: Event) -> None:
        self._look_at(event.value)

    def _look_at(self, layer: Layer) -> None:
        """Show the scale bar for an image in metres; say once that another has none."""
        if not isinstance(layer, Image) or is_helper(layer):
            return
        about = layer.metadata.get("napari_disca", {})
        if about.get(WORLD) is not None:
            self._viewer.canvas.overlays.scale_bar.visible = True
        elif "path" in about and id(layer) not in self._reported_without_crs:
            self._reported_without_crs.add(id(layer))
            show_info(f"{layer.name} has no CRS: coordinates are rows and columns of pixels")

    # ------------------------------------------------------------------ telling

    def say(self, line: str) -> None:
        """Show a line in napari's status bar."""
        self._viewer.status = line

    def _on_reading(self, reading: Reading) -> None:
        self._label().setText(reading.line)
        self.reading_changed.emit(reading)

    def _label(self) -> QLabel:
        if self._status_label is None:
            self._status_label = QLabel()
            self._status_label.setAccessibleName("Under the pointer")
            window = main_window(self._panel)
            if window is not None:
                not_none(window.statusBar()).addPermanentWidget(self._status_label)
        return self._status_label

    # ------------------------------------------------------------------ places

    def go_to(self) -> None:
        """Ask for coordinates, and move the view to them."""
        image = self._place_image()
        if image is None:
            self.say("Open an image first")
            return

        def went(found: Found) -> None:
            look_at(self._viewer, image, found.row, found.col)
            self.say(f"Went to row {found.row:.0f}, column {found.col:.0f} ({found.read_as})")

        GoTo(grid_of(image, self._viewer), went, self._panel).open()

    def copy_place(self) -> None:
        """Copy the coordinates under the pointer."""
        found = texts(self.cursor.read(self._viewer.cursor.position))
        if found:
            self.places.copy(found[0])
        else:
            self.say("Move the pointer over the image first")

    def _place_image(self) -> Image | None:
        layers = self._control.layers
        return layers.image if layers is not None else self._image()

    # ------------------------------------------------------------------ keys

    def show_keys(self) -> None:
        """Show the page of keys."""
        if self._page is not None and self._page.isVisible():
            self._page.raise_()
            return
        self._page = KeysPage(self._chosen, QApplication.activeWindow() or self._panel)
        self._page.changed.connect(self.keys_chosen)
        self._page.show()

    def use_keys(self, chosen: dict[str, str]) -> None:
        """Use the given keys, by the names of verbs; other verbs have the keys of the table."""
        self._chosen = chosen
        self._keys.set_verbs(self.verbs())
        self.verbs_changed.emit()
