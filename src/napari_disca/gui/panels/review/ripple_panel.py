"""Lists the regions that an adaptation changed, with buttons for verdicts and its strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_disca.gui.panels.parts.buttons import set_enabled
from napari_disca.gui.panels.parts.rows import go_along
from napari_disca.gui.panels.parts.slider_keys import SliderKeys
from napari_disca.gui.panels.parts.styles import EXPLAINS
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.keys.verbs import BY_NAME
from napari_disca.session.regions.changed_regions import Region

#: Row and column of each button, by its verb in `viewer.verbs`.
_BUTTONS = {
    "accept": (0, 0),
    "reject": (0, 1),
    "next_change": (0, 2),
    "accept_all": (1, 0),
    "reject_all": (1, 1),
    "only_near": (1, 2),
}
#: Most regions in the list; the next ones follow when these are judged.
_SHOWN = 200
#: The strongest answer that the slider offers.
_STRONGEST = 3.0
_ROW_HEIGHT = 6


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The region that is chosen in the list.

    Attributes
    ----------
    region : Region
    row : int
        Its row: when the region is gone, the region in that row is chosen next.
    judged : bool
        Whether it was just judged; then it is not looked for in the next list.
    """

    region: Region
    row: int
    judged: bool = False

    def found(self, regions: Sequence[Region]) -> int | None:
        """Row of the region in another list; None if it is not there."""
        for row, region in enumerate(regions):
            if region == self.region or (not self.judged and _same(region, self.region)):
                return row
        return None


class RipplePanel(QWidget):
    """The list of regions, the buttons of the verdicts, and the slider of the strength.

    Signals: those of the buttons are named after their verbs; ``visited(Region)`` when a region is
    chosen in the list; ``strength(float)`` while the slider moves, ``settled()`` once it is
    released.
    """

    accept = Signal()
    reject = Signal()
    next_change = Signal()
    accept_all = Signal()
    reject_all = Signal()
    only_near = Signal()
    visited = Signal(object)
    strength = Signal(float)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verbs: Mapping[str, Verb] = BY_NAME
        self._regions: tuple[Region, ...] = ()
        #: The chosen region, also while the list is filled again and lacks it.
        self._chosen: _Chosen | None = None
        self.figure = QLabel()
        self.figure.setWordWrap(True)
        self.figure.setStyleSheet(EXPLAINS)
        self.list = QListWidget()
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName("Regions that the adaptation changed, the largest first")
        self.list.setFixedHeight(_ROW_HEIGHT * (self.fontMetrics().height() + 4))
        self.list.currentRowChanged.connect(self._on_row)
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(4)
        for name, (row, column) in _BUTTONS.items():
            button = QPushButton(self.verbs[name].title)
            self.buttons[name] = button
            grid.addWidget(button, row, column)
            button.clicked.connect(getattr(self, name).emit)
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0.0, _STRONGEST)
        self.slider.setSingleStep(0.1)  # type: ignore[arg-type]  # it takes floats
        self.slider.setDecimals(1)
        self.slider.setAccessibleName("Strength of the adaptation")
        for part in self.slider.findChildren(QWidget):  # one of them gets the focus
            part.setAccessibleName("Strength of the adaptation")
        self.slider.setToolTip(
            "How strongly clicks count at places that look like them: more changes more of the "
            "map, less changes less, 0 is the map near clicks (DISIR). Nothing is learned again"
        )
        self._keys = SliderKeys(self.slider, 0.1, 0.5)
        self.slider.valueChanged.connect(self.strength)
        self.slider.sliderReleased.connect(self.settled)
        self._strength = QWidget()
        line = QHBoxLayout(self._strength)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(QLabel("Strength"))
        line.addWidget(self.slider)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.figure, self.list):
            layout.addWidget(part)
        layout.addLayout(grid)
        layout.addWidget(self._strength)

    @property
    def selected(self) -> Region | None:
        """The region that is chosen in the list; None if none is."""
        row = self.list.currentRow()
        return self._regions[row] if 0 <= row < len(self._regions) else None

    def choose_next(self) -> None:
        """Choose the next region of the list; after the last, the first."""
        if self._regions:
            self.list.setCurrentRow((self.list.currentRow() + 1) % len(self._regions))

    def go_along(self, steps: int) -> None:
        """Choose the region some rows further down (or up), or the last one before the end."""
        go_along(self.list, steps, len(self._regions))

    def choose_none(self) -> None:
        """Clear the choice; the list stays."""
        self._chosen = None
        self.list.setCurrentRow(-1)

    def mark_judged(self) -> None:
        """Mark the chosen region as judged, so that no region near it is taken for it."""
        if self._chosen is not None:
            self._chosen = replace(self._chosen, judged=True)

    def enable(self, **reasons: str) -> None:
        """Enable buttons by name, or disable them for a reason, which their tooltips then give."""
        for name, reason in reasons.items():
            set_enabled(self.buttons[name], self.verbs[name].tooltip, reason)

    def show_regions(
        self,
        regions: Sequence[Region],
        classes: Sequence[str],
        summary: str,
        *,
        follow: bool = False,
        interim: bool = False,
    ) -> None:
        """List regions; the chosen one stays chosen if it is among them.

        Parameters
        ----------
        regions : sequence of Region
        classes : sequence of str
        summary : str
            Line above the list.
        follow : bool
            If the chosen region is gone, choose the one in its row.
        interim : bool
            The comparison still runs: if the chosen region is missing, no other is chosen.
        """
        chosen = self._chosen
        self._regions = tuple(regions[:_SHOWN])
        self.list.blockSignals(True)
        self.list.clear()
        for region in self._regions:
            item = QListWidgetItem(line_of(region, classes))
            if not region.complete:
                item.setToolTip("It may be larger: not all of the image was compared yet")
            self.list.addItem(item)
        row = None if chosen is None else chosen.found(self._regions)
        if chosen is not None and row is not None:
            self.list.setCurrentRow(row)
            place = chosen.row if interim else row
            self._chosen = replace(chosen, region=self._regions[row], row=place)
        self.list.blockSignals(False)
        if row is None and not follow:
            self._chosen = None
        elif chosen is not None and row is None and self._regions and not interim:
            self.list.setCurrentRow(min(chosen.row, len(self._regions) - 1))
        self.figure.setText(summary)

    def show_strength(self, strength: float | None) -> None:
        """Set the slider; None hides it, because the recipe has no strength."""
        self._strength.setVisible(strength is not None)
        if strength is not None and not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setValue(strength)
            self.slider.blockSignals(False)

    def _on_row(self, row: int) -> None:
        if 0 <= row < len(self._regions):
            self._chosen = _Chosen(self._regions[row], row)
            self.visited.emit(self._regions[row])


def line_of(region: Region, classes: Sequence[str]) -> str:
    """Return a region in one line: ``vegetation → building, 0.8 ha, 83 % sure``."""
    text = f"{classes[region.before]} → {classes[region.after]}, {size_of(region)}"
    if region.certainty is not None:
        text += f", {region.certainty:.0%} sure".replace("%", " %")
    return text


def size_of(region: Region) -> str:
    """Return the area of a region in words; in pixels where there is no ground resolution."""
    metres = region.square_metres
    if metres is None:
        return f"{region.area:,} pixels"
    return area_text(metres)


def area_text(metres: float) -> str:
    """Return square metres in words: m², ha or km²."""
    if metres >= 1e6:
        return f"{metres / 1e6:.1f} km²"
    if metres >= 1e5:
        return f"{metres / 1e4:.0f} ha"
    if metres >= 1000:
        return f"{metres / 1e4:.2g} ha"  # with one decimal, many small regions would look alike
    return f"{metres:.0f} m²"


def _same(region: Region, other: Region) -> bool:
    kind = (region.before, region.after) == (other.before, other.after)
    return kind and (region.pixel == other.pixel or bool(region.window & other.window))
