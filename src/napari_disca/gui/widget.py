"""The panel: image, classes, correction and comparison, around one `Control`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel, QScrollArea, QVBoxLayout, QWidget


class DiscaWidget(QScrollArea):
    """Correct a segmentation map by clicking on its mistakes.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        from napari_disca.threads import keep_cores_free

        keep_cores_free()  # before torch is imported, if it is not yet
        from napari_disca.gui.classes_panel import ClassesPanel
        from napari_disca.gui.compare_panel import ComparePanel
        from napari_disca.gui.control import Control
        from napari_disca.gui.image_panel import ImagePanel
        from napari_disca.gui.refine_panel import RefinePanel

        self.viewer = napari_viewer
        self.control = Control(napari_viewer, self)
        self.image_panel = ImagePanel(napari_viewer)
        self.classes_panel = ClassesPanel()
        self.refine_panel = RefinePanel()
        self.compare_panel = ComparePanel()

        body = QWidget()
        layout = QVBoxLayout(body)
        for title, panel in (
            ("Image", self.image_panel),
            ("Classes", self.classes_panel),
            ("Correct", self.refine_panel),
            ("Compare", self.compare_panel),
        ):
            head = QLabel(f"<b>{title}</b>")
            layout.addWidget(head)
            layout.addWidget(panel)
        layout.addStretch(1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(body.minimumSizeHint().width() + 20)
        self.setFrameShape(QScrollArea.Shape.NoFrame)

        verbs, control = self.refine_panel, self.control
        verbs.segment.connect(self.segment)
        verbs.adapt.connect(control.adapt)
        verbs.cancel.connect(control.cancel)
        verbs.undo.connect(control.undo)
        verbs.redo.connect(control.redo)
        verbs.reset.connect(control.reset_network)
        verbs.save_labels.connect(self._save_labels)
        verbs.save_clicks.connect(self._save_clicks)
        verbs.load_clicks.connect(self._load_clicks)
        verbs.refused.connect(show_error)
        control.changed.connect(self._show)
        control.progressed.connect(verbs.show_progress)
        self.image_panel.chosen.connect(self._on_chosen)
        self.classes_panel.armed.connect(self.arm)
        self.compare_panel.switched.connect(self._compare)
        self.destroyed.connect(control.close)
        self._raster: Any = None
        self._key: tuple[Any, str, float | None] | None = None
        self._opened: tuple[Any, str, float | None] | None = None
        self._on_chosen()

    # ------------------------------------------------------------------ choosing

    def _on_chosen(self) -> None:
        """Read the card and the image's place, and say how the network reads it."""
        from napari_disca.clicks import Clicks
        from napari_disca.errors import DiscaError
        from napari_disca.inputs import NetworkInput
        from napari_disca.networks import read_card
        from napari_disca.remembered import recall, remember

        layer, weights = self.image_panel.image(), self.image_panel.weights()
        if layer is None or not weights:
            self.image_panel.show_factor(1.0, "Open an image: drop a GeoTIFF on the window")
            self._key = None
            self._show()
            return
        try:
            card = read_card(weights)
            if self._key is None or self._key[:2] != (layer, weights):
                self._raster = raster_of(layer)
                self.image_panel.recall_factor(recall(self._raster, card))
            factor = self.image_panel.hand_factor()
            inputs = NetworkInput(self._raster, card, factor=factor)
            remember(self._raster, card, factor)
        except DiscaError as error:
            self._key = None
            self.image_panel.show_factor(1.0, str(error))
            self._show()
            return
        self._key = (layer, weights, factor)
        self.image_panel.show_factor(inputs.factor, inputs.describe())
        if self.control.session is None:
            self.classes_panel.show_classes(card.classes, Clicks())
        self._show()

    def _session_ready(self) -> bool:
        """Make the session for what is chosen if it is not there; fitting clicks move along."""
        from napari_disca.errors import DiscaError
        from napari_disca.networks import load_network
        from napari_disca.session import Session

        control = self.control
        if self._key is None:
            show_error("Open an image and choose a network first")
            return False
        if control.session is not None and self._opened == self._key:
            return True
        before = control.session
        try:
            session = Session(self._raster, load_network(self._key[1]), factor=self._key[2])
        except DiscaError as error:
            show_error(str(error))
            return False
        control.open(self._key[0], session)
        if (
            before is not None
            and before.raster is session.raster
            and [c.name for c in before.classes] == [c.name for c in session.classes]
        ):
            session.set_clicks(before.clicks, "take over the clicks")
        self._opened = self._key
        layers = control.layers
        for i in range(min(9, len(session.classes))):
            layers.bind(str(i + 1), lambda label=i: self.arm(label))
        layers.bind("Control-Z", control.undo)
        layers.bind("Control-Shift-Z", control.redo)
        return True

    # ------------------------------------------------------------------ verbs

    def segment(self) -> None:
        """Draw the maps of the chosen image."""
        if self._session_ready():
            self.control.segment()

    def arm(self, label: int) -> None:
        """Make the next click one of this class."""
        if self._session_ready() and label < len(self.control.session.classes):
            self.control.layers.arm(label)
            self.classes_panel.choose(label)

    def _compare(self, on: bool) -> None:
        if self.control.layers is not None:
            self.control.layers.compare(on)
        self._show()

    def _save_labels(self) -> None:
        session = self.control.session
        if session is None:
            return
        name = "disca" if session.adapted is not None else "disir"
        start = Path(session.raster.path or "labels.tif")
        file, _ = QFileDialog.getSaveFileName(
            self,
            f"Save the {name.upper()} map",
            str(start.with_name(f"{start.stem}_{name}.tif")),
            "GeoTIFF (*.tif *.tiff)",
        )
        if file:
            self.control.save_labels(name, Path(file).with_suffix(Path(file).suffix or ".tif"))

    def _save_clicks(self) -> None:
        session = self.control.session
        if session is None:
            return
        start = Path(session.raster.path or "clicks.tif")
        file, _ = QFileDialog.getSaveFileName(
            self,
            "Save the clicks",
            str(start.with_name(f"{start.stem}_clicks.geojson")),
            "GeoJSON (*.geojson *.json)",
        )
        if file:
            self.control.save_clicks(Path(file))

    def _load_clicks(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, "Load clicks", "", "GeoJSON (*.geojson *.json)")
        if file and self._session_ready():
            self.control.load_clicks(Path(file))

    # ------------------------------------------------------------------ showing

    def _show(self) -> None:
        """Make the panels show the state."""
        control, session = self.control, self.control.session
        there = session is not None
        clicks = len(session.clicks) if there else 0
        drawn = there and session.up_to_date("disir") > 0
        self.refine_panel.enable(
            segment=self._key is not None and not control.learning,
            adapt=clicks > 0 and not control.learning,
            cancel=control.busy,
            undo=there and session.can_undo,
            redo=there and session.can_redo,
            reset=there and session.adapted is not None,
            save_labels=bool(drawn) and not control.busy,
            save_clicks=clicks > 0,
            load_clicks=self._key is not None,
        )
        self.refine_panel.status.setText(self._status())
        if there:
            self.classes_panel.show_classes(session.classes, session.clicks)
        layers = control.layers
        differ = _difference(session) if there and session.adapted is not None else None
        self.compare_panel.show_state(bool(drawn), bool(layers and layers.comparing), differ)

    def _status(self) -> str:
        session = self.control.session
        if session is None:
            return "Press Segment to draw the first map" if self._key else ""
        fresh = f"DISIR {session.up_to_date('disir'):.0%} up to date"
        if session.adapted is not None:
            fresh += f", DISCA {session.up_to_date('disca'):.0%}"
        elif len(session.clicks):
            fresh += ", not adapted yet"
        return f"{self.control.status}\n{fresh}" if self.control.status else fresh

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop what runs when the panel is closed."""
        self.control.close()
        super().closeEvent(event)


def raster_of(layer: Image) -> Any:
    """The raster behind an image layer: its file where it has one, else its array."""
    from napari_disca.raster import open_raster

    about = layer.metadata.get("napari_disca", {})
    path = about.get("path") or layer.source.path
    if path and Path(path).suffix.lower() in (".tif", ".tiff", ".vrt", ".jp2", ".jpg", ".png"):
        return open_raster(path)
    data = layer.data[0] if layer.multiscale else layer.data
    return open_raster(data)


def _difference(session: Any) -> float:
    """Share of pixels where DISIR and DISCA differ, on their coarsest level."""
    disir, disca = (session.maps[name].levels[-1] for name in ("disir", "disca"))
    known = (disir > 0) & (disca > 0)
    return float(np.mean(disir[known] != disca[known])) if known.any() else 0.0
