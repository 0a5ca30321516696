"""Chooses the image, the network, and how the network reads the image."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import qdebounced

from napari_disca.gui.panels.image.bands_panel import BandsPanel
from napari_disca.gui.panels.image.consent import Consent
from napari_disca.gui.panels.image.factor_row import FactorRow
from napari_disca.gui.panels.image.values_panel import ValuesPanel
from napari_disca.gui.panels.parts.styles import EXPLAINS
from napari_disca.gui.viewer.layers.placement import WARPED

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

    from napari_disca.inference.network_view import NetworkView
    from napari_disca.inference.reading import Reading
    from napari_disca.networks.card import Card
    from napari_disca.networks.proposal import Proposal
    from napari_disca.raster import Raster

_LOAD = "Load…"
#: Milliseconds for which a slider must rest before its frame is read.
_SLIDER = 150


class ImagePanel(QWidget):
    """The fields for the image layer, the network, and how the image is read.

    Signals: ``chosen()`` when one of them changes.
    """

    chosen = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        consent = self._consent = Consent(self)
        self.allows, self.agreed = consent.allows, consent.agreed
        self.images = QComboBox()
        self.images.setAccessibleName("Image")
        self.images.setToolTip("The image layer to segment")
        self.networks = QComboBox()
        self.networks.setAccessibleName("Network")
        for box in (self.images, self.networks):
            # A long name must not make the dock wide.
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(12)
        self.about = _explaining()

        self.proposal = _explaining()
        self.proposal.setVisible(False)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Image", self.images)
        self.together = QCheckBox()
        self.together.setVisible(False)
        form.addRow(self.together)
        form.addRow("Network", self.networks)
        self._factor = FactorRow()
        self.factor, self.by_hand = self._factor.factor, self._factor.by_hand
        form.addRow("Scale", self._factor)
        self.bands, self.values = BandsPanel(), ValuesPanel()
        form.addRow("Bands", self.bands)
        form.addRow("Values", self.values)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.proposal)
        layout.addWidget(self.about)

        #: Whether the user has chosen a network; until then each image proposes one.
        self._by_hand = False
        self._proposal: Proposal | None = None
        #: How image layers were read in this window, by the network.
        self._readings: WeakKeyDictionary[Image, dict[str, Reading]] = WeakKeyDictionary()
        self._fill_networks()
        self._fill_images()
        viewer.layers.events.inserted.connect(self._fill_images)
        viewer.layers.events.removed.connect(self._fill_images)
        self._follow = qdebounced(self._on_dims, timeout=_SLIDER, parent=self)
        viewer.dims.events.point.connect(self._follow)
        viewer.dims.events.order.connect(self._follow)
        self.images.currentIndexChanged.connect(self._changed)
        self.networks.activated.connect(self._network_chosen)
        self.together.toggled.connect(self._changed)
        self._factor.changed.connect(self._changed)
        self.bands.changed.connect(self._changed)
        self.values.changed.connect(self._changed)

    def image(self) -> Image | None:
        """The chosen image layer; None without images."""
        return self.images.currentData()

    def parts(self) -> tuple[Image, ...]:
        """One-band layers that are read together as one image, by name; empty if not together."""
        found = self._single_bands()
        return found if len(found) > 1 and self.together.isChecked() else ()

    def _single_bands(self) -> tuple[Image, ...]:
        """All one-band layers, if the chosen layer is one."""
        items = [self.images.itemData(k) for k in range(self.images.count())]
        single = [layer for layer in items if not layer.rgb and layer.ndim == 2]
        if self.image() not in single:
            return ()
        return tuple(sorted(single, key=lambda layer: layer.name))

    def _offer_together(self) -> None:
        """Show the box that reads one-band layers as one image, where there are several."""
        layers = self._single_bands()
        self.together.setVisible(len(layers) > 1)
        self.together.setText(f"Read the {len(layers)} one-band layers as one image")
        self.together.setToolTip("Bands: " + ", ".join(layer.name for layer in layers))

    def frame(self) -> tuple[int, ...]:
        """Frame of the chosen layer that is shown; empty where it has no slider.

        Raises
        ------
        RasterError
            If other axes than its rows and columns are shown.
        """
        from napari_disca.gui.toolkit.frames import shown_frame

        layer = self.image()
        return () if layer is None else shown_frame(layer, self._viewer.dims)

    def weights(self) -> str:
        """Name or file of the chosen network."""
        return self.networks.currentData() or ""

    def reading(self) -> Reading:
        """Return how the image is to be read, as far as the user has chosen it.

        Raises
        ------
        CardError
            If a text makes no sense.
        """
        from napari_disca.inference.reading import Reading

        reading = Reading(
            bands=self.bands.bands(),
            factor=self._factor.chosen(),
            scaling=self.values.scaling(),
            find_fill=self.values.find_fill(),
        )
        layer = self.image()
        if layer is not None:
            self._readings.setdefault(layer, {})[self.weights()] = reading
        return reading

    def reading_before(self) -> Reading | None:
        """How this image was read with this network before in this window; None if it was not."""
        layer = self.image()
        return self._readings.get(layer, {}).get(self.weights()) if layer is not None else None

    def show_image(self, proposal: Proposal | None, lines: Sequence[str]) -> None:
        """Choose the proposed network, unless the user has chosen one, and show why it fits.

        Parameters
        ----------
        proposal : Proposal or None
            None where there is no image.
        lines : sequence of str
            How the image would be read, for the tooltip and for screen readers.
        """
        self.show_lines(lines)
        index = -1 if proposal is None else self.networks.findData(proposal.name)
        if index >= 0 and not self._by_hand:
            self.networks.setCurrentIndex(index)  # emits nothing: nobody has activated it
            self._last = index
        self._proposal = proposal
        self._show_proposal()

    def show_lines(self, lines: Sequence[str]) -> None:
        """Show how the image is read in the tooltip."""
        # Names in a file are shown as they are, whatever they contain.
        self.about.setToolTip("<br>".join(map(escape, lines)))
        self.about.setAccessibleDescription("\n".join(lines))

    def _show_proposal(self) -> None:
        text = "" if self._proposal is None else self._proposal.hint(self.weights())
        self.proposal.setText(text)
        self.proposal.setVisible(bool(text))

    def show_card(self, card: Card | None) -> None:
        """Describe the chosen network in its tooltip."""
        tip = "A bundled network, or a .safetensors or TorchScript file of your own"
        if card is not None:
            size = card.ground_resolution
            lines = [
                f"{card.name}: {', '.join(c.name for c in card.classes)}",
                f"Ground resolution: {size:g} m" if size else "",
                f"Learned from: {card.training_data}" if card.training_data else "",
                f"Licence: {card.licence}" if card.licence else "",
            ]
            tip = "\n".join(line for line in lines if line)
        self.networks.setToolTip(tip)

    def show_view(self, view: NetworkView | None, about: str = "") -> None:
        """Show at what scale and with which values the network reads the image.

        Parameters
        ----------
        view : NetworkView or None
            None if nothing can be read.
        about : str
            Why not, or a remark.
        """
        self._factor.show_found(1.0 if view is None else view.factor)
        self.values.show_view(view)
        lines = [] if view is None else [view.describe()]
        self.about.setText("; ".join([*lines, *([about] if about else [])]))

    def show_reading(self, reading: Reading, raster: Raster, card: Card) -> None:
        """Show how an image is to be read, for instance as in an earlier session."""
        self._factor.show_chosen(reading.factor)
        self.bands.show_reading(reading, raster, card)
        self.values.show_reading(reading, card)

    def _fill_networks(self) -> None:
        from napari_disca.networks import bundled_weights
        from napari_disca.networks.proposal import DEFAULT_NETWORK

        for name in bundled_weights():
            self.networks.addItem(name, name)
        if not self.networks.count():
            self.networks.addItem("(choose Load…)", None)
        preferred = self.networks.findText(DEFAULT_NETWORK)
        self.networks.setCurrentIndex(max(0, preferred))
        self._last = self.networks.currentIndex()
        self.networks.addItem(_LOAD, None)

    def _fill_images(self, _event: object = None) -> None:
        now, parts = self.image(), self.parts()
        self.images.blockSignals(True)
        self.images.clear()
        for layer in reversed(self._viewer.layers):
            if isinstance(layer, Image) and not _is_only_looked_at(layer):
                self.images.addItem(layer.name, layer)
                layer.events.name.connect(self._rename)  # once, however often it is asked
        index = self.images.findData(now)
        self.images.setCurrentIndex(max(0, index))
        self.images.blockSignals(False)
        if self.image() is not now or self.parts() != parts:
            self._changed()
        self._offer_together()

    def _on_dims(self, _event: object = None) -> None:
        """Choose another frame as another image, once the slider rests."""
        layer = self.image()
        if layer is not None and layer.ndim > 2:
            self._changed()

    def _rename(self, event: Event) -> None:
        index = self.images.findData(event.source)
        if index >= 0:
            self.images.setItemText(index, event.source.name)

    def detach(self) -> None:
        """Disconnect from the viewer's events."""
        self._viewer.layers.events.inserted.disconnect(self._fill_images)
        self._viewer.layers.events.removed.disconnect(self._fill_images)
        self._viewer.dims.events.point.disconnect(self._follow)
        self._viewer.dims.events.order.disconnect(self._follow)
        self._follow.cancel()
        for index in range(self.images.count()):
            self.images.itemData(index).events.name.disconnect(self._rename)

    def _network_chosen(self, index: int) -> None:
        if self.networks.itemText(index) == _LOAD:
            file, _ = QFileDialog.getOpenFileName(
                self,
                "Load a network",
                "",
                "Networks (*.safetensors *.pt *.ts *.torchscript)",
            )
            if not file or not self.agreed(file):
                self.networks.setCurrentIndex(self._last)
                return
            self.add_network(Path(file))
        self._last = self.networks.currentIndex()
        self._chosen_by_hand()

    def choose_network(self, name_or_file: str, *, allow_torchscript: bool = False) -> None:
        """Choose a bundled network by name, or add and choose a file."""
        if allow_torchscript:
            self._consent.give(name_or_file)
        index = self.networks.findData(name_or_file)
        if index >= 0:
            self.networks.setCurrentIndex(index)
            self._last = index
        else:
            self.add_network(Path(name_or_file))
        self._chosen_by_hand()

    def _chosen_by_hand(self) -> None:
        self._by_hand = True
        self._show_proposal()
        self._changed()

    def add_network(self, file: Path) -> None:
        """Add a network from a file to the list and choose it; an unusable file is refused."""
        from napari_disca.core.errors import DiscaError
        from napari_disca.gui.toolkit.waiting import run_on_thread
        from napari_disca.networks import read_card

        try:
            run_on_thread(lambda: read_card(file))
        except DiscaError as error:
            show_error(str(error))
            self.networks.setCurrentIndex(self._last)
            return
        self.networks.insertItem(0, file.stem, str(file))
        self.networks.setCurrentIndex(0)
        self._last = 0

    def _changed(self, *_: object) -> None:
        self._offer_together()
        self.chosen.emit()


def _explaining() -> QLabel:
    """Return a label for an explaining line, which can be copied."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setStyleSheet(EXPLAINS)
    return label


def _is_only_looked_at(layer: Image) -> bool:
    about = layer.metadata.get("napari_disca", {})
    return bool(about.get("copy") or about.get("helper") or about.get(WARPED))
