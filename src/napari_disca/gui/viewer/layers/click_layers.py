"""Shows the clicks of a session as Points layers, and passes edits of the points to the session.

napari has many ways to change points and emits events for some: the features table writes into the
layer's table without an event, pasting only redraws. So a layer is compared with what it was filled
with, at every event and several times a second, and each difference becomes a verb of the session:
add, move, remove, relabel. An impossible edit is put back, and the user is told why.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import DiscaError
from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.layers.click_points import (
    CLASS,
    features_of,
    has_labels,
    is_prefix,
    labels_of,
    put_positions,
)
from napari_disca.gui.viewer.layers.layer_host import COPY
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.utils.events import Event


@dataclass(slots=True)
class _Edit:
    """The difference between a layer and what it was filled with."""

    removed: list[Click] = field(default_factory=list)
    moved: dict[Click, tuple[int, int]] = field(default_factory=dict)
    relabelled: dict[Click, int] = field(default_factory=dict)
    added: list[Click] = field(default_factory=list)
    #: Why an edit is put back; empty if none is.
    refused: str = ""


@dataclass(slots=True, eq=False)
class _Filled:
    """The clicks, positions and classes that a layer was filled with."""

    clicks: tuple[Click, ...]
    positions: NDArray[np.float64]
    labels: NDArray[np.int16]
    #: Whether a drag has begun, so that positions are not final.
    moving: bool = False


class ClickLayers:
    """Shows the clicks of a session, once in each view.

    Parameters
    ----------
    session : Session
    report : callable
        Shows why an edit was refused, in one line.

    Attributes
    ----------
    layers : list of Points
        The layers in the viewer; always the same list object.
    label : int
        Class of the next click.
    """

    def __init__(self, session: Session, report: Callable[[str], None]) -> None:
        self.layers: list[Points] = []
        self.label = 0
        self._session = session
        self._report = report
        self._names = [land.name for land in session.document.classes]
        self._filled: dict[Points, _Filled] = {}
        #: Whether the layers follow the session just now; whether the session follows a layer.
        self._echo = self._telling = False

    # ------------------------------------------------------------------ layers

    def rename(self) -> None:
        """Use the session's present class names for the clicks."""
        names = [land.name for land in self._session.document.classes]
        if names != self._names:
            self._names = names
            for layer in self.layers:
                self._fill(layer)

    def make(self, name: str, size: float, placement: dict[str, Any]) -> Points:
        """Return another layer; the caller adds it to the viewer, then calls `begin`."""
        return Points(
            np.empty((0, 2)),
            name=name,
            size=size,
            symbol="disc",
            border_width=0.12,
            border_color="white",
            features=features_of((), self._names),
            face_color=CLASS,
            face_color_cycle={land.name: land.color for land in self._session.document.classes},
            metadata={"napari_disca": {COPY: bool(self.layers)}},
            **placement,
        )

    def begin(self, layer: Points) -> None:
        """Show the clicks in a layer, and connect to its events."""
        self.layers.append(layer)
        self._fill(layer)
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_changed)
        layer.events.set_data.connect(self._on_changed)

    def forget(self, layer: Layer) -> None:
        """Disconnect from a layer that was removed from the viewer."""
        if layer in self.layers:
            self.layers.remove(layer)
            self._disconnect(layer)

    def detach(self) -> None:
        """Disconnect from all layers, which stay as they are."""
        for layer in self.layers:
            self._disconnect(layer)

    def _disconnect(self, layer: Points) -> None:
        del self._filled[layer]
        layer.events.data.disconnect(self._on_data)
        layer.events.features.disconnect(self._on_changed)
        layer.events.set_data.disconnect(self._on_changed)

    def show(self) -> None:
        """Fill the layers with the session's clicks."""
        if not self._telling:  # the layers are filled at the end
            for layer in self.layers:
                self._fill(layer)

    def arm(self, label: int) -> None:
        """Set the class of the next click."""
        self.label = label
        for layer in self.layers:
            self._arm(layer)

    def _arm(self, layer: Points) -> None:
        name = self._names[self.label]
        if CLASS not in layer.feature_defaults or layer.feature_defaults[CLASS].iloc[0] != name:
            # Setting `current_properties` would also change the selected points.
            layer.feature_defaults = {CLASS: name}

    def _fill(self, layer: Points) -> None:
        """Show the session's clicks in a layer, and change no more of it than differs.

        Each part that is set makes napari update all its panels, which takes longer than the click.
        """
        clicks = self._session.document.clicks.items
        rows, cols, labels = self._session.document.clicks.arrays()
        positions = np.stack([rows, cols], axis=1).astype(np.float64)
        before = self._filled.get(layer)
        filled = self._filled[layer] = _Filled(clicks, positions, labels.astype(np.int16))
        self._echo = True
        try:
            put_positions(layer, positions)
            # Of points that were only added, napari has set the colours.
            added = before is not None and is_prefix(before.labels, filled.labels)
            if not added or not has_labels(layer, filled.labels, self._names):
                layer.features = features_of(labels, self._names)
                layer.refresh_colors(update_color_mapping=False)
            if layer.selected_data:
                layer.selected_data = set()
            self._arm(layer)
        finally:
            self._echo = False

    # ------------------------------------------------------------------ gestures

    def relabel_selected(self, label: int) -> int:
        """Give the selected clicks another class in one step; return how many there were."""
        layer = self.selecting
        if layer is None:
            return 0
        items = self._session.document.clicks.items
        chosen = [items[i] for i in sorted(layer.selected_data) if i < len(items)]
        self._session.document.relabel_all(dict.fromkeys(chosen, label))
        return len(chosen)

    @property
    def selecting(self) -> Points | None:
        """The layer in which clicks are selected, for which a class is chosen."""
        selecting = (x for x in self.layers if x.mode == "select" and x.selected_data)
        return next(selecting, None)

    def take_over_edits(self) -> None:
        """Take over edits of the layers that emit no event; called several times a second."""
        for layer in list(self.layers):
            self._take(layer)

    def _on_data(self, event: Event) -> None:
        filled = self._filled.get(event.source)
        if filled is None or self._echo:
            return
        if event.action in ("adding", "removing", "changing"):
            # A drag redraws the layer at every step, and emits an event only at its end.
            filled.moving = event.action == "changing"
            return
        filled.moving = False
        indices = event.data_indices if event.action == "removed" else None
        self._take(event.source, removed=indices)

    def _on_changed(self, event: Event) -> None:
        self._take(event.source)

    def _take(self, layer: Points, removed: Sequence[int] | None = None) -> None:
        """Pass the difference between a layer and the session to the session."""
        filled = self._filled.get(layer)
        if filled is None or self._echo or self._telling or filled.moving:
            return
        labels = labels_of(layer, self._names)
        positions = np.asarray(layer.data, dtype=np.float64)[:, -2:]
        same = (
            labels is not None
            and list(layer.features.columns) == [CLASS]
            and np.array_equal(positions, filled.positions)
            and np.array_equal(labels, filled.labels)
        )
        if same:
            return
        self._telling = True
        try:
            edit = self._difference(layer, filled, positions, labels, removed)
            try:
                self._tell(edit)
            except DiscaError as error:
                edit.refused = str(error)
        finally:
            self._telling = False
        self.show()  # on whole pixels, and without refused edits
        # napari selects a new point after its event; a selected point would be changed by
        # the layer's controls, and deleted by its keys.
        QTimer.singleShot(0, self._deselect)
        if edit.refused:
            self._report(edit.refused)

    def _difference(
        self,
        layer: Points,
        filled: _Filled,
        positions: NDArray[np.float64],
        labels: NDArray[np.int16] | None,
        removed: Sequence[int] | None,
    ) -> _Edit:
        edit = _Edit()
        if labels is None:
            edit.refused = f"The column '{CLASS}' holds the clicks' classes and must stay"
            return edit
        extra = [str(name) for name in layer.features.columns if name != CLASS]
        if extra:
            edit.refused = f"Clicks have a class and nothing else; {extra[0]!r} is not kept"
        before, count = filled.clicks, len(filled.clicks)
        if removed is not None and len(positions) + len(removed) == count:
            gone = set(removed)
            edit.removed = [click for i, click in enumerate(before) if i in gone]
        elif len(positions) >= count and (
            len(positions) == count or np.array_equal(positions[:count], filled.positions)
        ):
            self._compare_rows(edit, filled, positions, labels)
        else:
            self._compare_sets(edit, before, positions, labels)
        return edit

    def _compare_rows(
        self,
        edit: _Edit,
        filled: _Filled,
        positions: NDArray[np.float64],
        labels: NDArray[np.int16],
    ) -> None:
        """Compare row by row: clicks were moved or relabelled, or others were added at the end."""
        count = len(filled.clicks)
        moved = np.flatnonzero((positions[:count] != filled.positions).any(axis=1))
        for i in moved:
            pixel = self._pixel(positions[i])
            if pixel is None:
                edit.moved.clear()
                edit.refused = "A click cannot be moved out of the image"
                break
            edit.moved[filled.clicks[i]] = pixel
        for i in np.flatnonzero(labels[:count] != filled.labels):
            if labels[i] < 0:
                edit.refused = (
                    f"A click has one of the network's classes: {', '.join(self._names)}; "
                    "it stays as it was"
                )
            else:
                edit.relabelled[filled.clicks[i]] = int(labels[i])
        self._add(edit, positions[count:], labels[count:])

    def _compare_sets(
        self,
        edit: _Edit,
        before: Sequence[Click],
        positions: NDArray[np.float64],
        labels: NDArray[np.int16],
    ) -> None:
        """Compare as sets: the layer was given other points."""
        left = Counter((click.row, click.col, click.label) for click in before)
        other: list[int] = []
        for i, (position, label) in enumerate(zip(positions, labels, strict=True)):
            pixel = self._pixel(position)
            key = (*pixel, int(label)) if pixel is not None else None
            if key is not None and left[key]:
                left[key] -= 1
            else:
                other.append(i)
        edit.removed = [c for c in before if left[c.row, c.col, c.label]]
        self._add(edit, positions[other], labels[other])

    def _add(self, edit: _Edit, positions: NDArray[np.float64], labels: NDArray[np.int16]) -> None:
        for position, label in zip(positions, labels, strict=True):
            pixel = self._pixel(position)
            if pixel is None:
                edit.refused = "That click lies outside the image and was not added"
            else:
                edit.added.append(Click(*pixel, int(label) if label >= 0 else self.label))

    def _pixel(self, position: NDArray[np.float64]) -> tuple[int, int] | None:
        """Return the pixel at a position in napari's data coordinates; None outside the image."""
        if not np.isfinite(position).all():
            return None
        row, col = (math.floor(value + 0.5) for value in position)
        return (row, col) if (row, col) in Window.whole(self._session.raster.shape) else None

    def _tell(self, edit: _Edit) -> None:
        session = self._session
        if edit.removed:
            session.document.remove(*edit.removed)
        if edit.relabelled:
            session.document.relabel_all(edit.relabelled)
            # A click that is also moved has its new class by now.
            for click, label in edit.relabelled.items():
                if click in edit.moved:
                    pixel = edit.moved.pop(click)
                    edit.moved[Click(click.row, click.col, label)] = pixel
        if edit.moved:
            session.document.move_all(edit.moved)
        if edit.added:
            session.document.add(*edit.added)

    def _deselect(self) -> None:
        for layer in self.layers:
            layer.selected_data = set()
