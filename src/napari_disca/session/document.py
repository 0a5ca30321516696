"""The user's work on an image: clicks, adaptations, locked areas, strokes, and their history.

These are values: nothing here reads an image or runs a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError
from napari_disca.core.tiling import Window
from napari_disca.networks import LandClass
from napari_disca.session.step_history import StepHistory
from napari_disca.session.steps.actions import ChangeClicks, LockAreas, ResetNetwork, Unlock
from napari_disca.session.steps.class_table import ClassTable, SetClasses
from napari_disca.session.steps.review_marks import Mark, Marks
from napari_disca.session.steps.step_values import AdaptationRun, Guided, Lock, LockOrStroke
from napari_disca.session.steps.steps import ImageFacts
from napari_disca.session.steps.strokes import Stroke


def _whole(*numbers: float) -> tuple[int, ...]:
    """Return pixels and classes as integers; a viewer may pass floats, and a script anything."""
    try:
        return tuple(int(number) for number in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        given = ", ".join(str(number)[:40] for number in numbers)
        raise ClickError(f"a pixel and a class are whole numbers, not {given}") from error


class Document(StepHistory):
    """The user's work on one image; each change is a step of the history.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image.
    classes : tuple of LandClass
        Class ``i`` is the value ``i``.
    """

    def __init__(self, shape: tuple[int, int], classes: tuple[LandClass, ...]) -> None:
        super().__init__(ImageFacts(shape, len(classes)))
        self._classes = classes

    # ---------------------------------------------------------------- what it holds

    @property
    def classes(self) -> tuple[LandClass, ...]:
        """The classes as they are shown; class ``i`` is the value ``i`` of the map."""
        return self.step.value(ClassTable).classes or self._classes

    @property
    def saved_classes(self) -> tuple[LandClass, ...]:
        """The classes as they are saved: merged ones are the same; see `merged_values`."""
        return self.step.value(ClassTable).saved_classes or self._classes

    @property
    def merged_values(self) -> NDArray[np.uint8]:
        """The value that is saved for each value of a map, ``(256,)``."""
        return self.step.value(ClassTable).values

    @property
    def class_table(self) -> ClassTable:
        """The table of the classes: names, colours, order, hidden and merged ones."""
        table = self.step.value(ClassTable)
        return table if table.entries else ClassTable.of(self._classes)

    @property
    def clicks(self) -> Clicks:
        """The clicks, oldest first."""
        return self.step.clicks

    @property
    def adapted(self) -> AdaptationRun | None:
        """The last adaptation, or None while the weights are the pretrained ones."""
        return self.step.adapted

    @property
    def locks(self) -> tuple[Lock, ...]:
        """The locked areas, oldest first."""
        return tuple(
            lock for lock in self.step.locks if isinstance(lock, Lock) and lock.kind == "area"
        )

    @property
    def verdicts(self) -> tuple[Lock, ...]:
        """The accepted and rejected areas, oldest first; `unlock` takes one back."""
        return tuple(
            lock for lock in self.step.locks if isinstance(lock, Lock) and lock.kind != "area"
        )

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """The strokes, oldest first; `unlock` removes one."""
        return tuple(lock for lock in self.step.locks if isinstance(lock, Stroke))

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The verdicts of a review on places, oldest first."""
        return tuple(self.step.value(Marks).items)

    @property
    def corrected(self) -> Guided:
        """Name of the map that is being corrected: the adapted one, once there is one."""
        return "disir" if self.adapted is None else "disca"

    # ---------------------------------------------------------------- clicks

    def click(self, row: int, col: int, label: int) -> Click:
        """Add a click, and return it; one on the same pixel is replaced.

        Parameters
        ----------
        row, col : int
            Pixel of the image.
        label : int
            Class id.

        Raises
        ------
        ClickError
            If the pixel is outside the image or the class does not exist.
        """
        click = Click(*_whole(row, col, label))
        self.set_clicks(self.clicks.added(click), f"{self._name(click)} click")
        return click

    def remove(self, *clicks: Click) -> None:
        """Remove clicks in one step.

        Raises
        ------
        ClickError
            If there is no such click.
        """
        present = set(self.clicks)
        for click in clicks:
            if click not in present:
                raise ClickError(f"there is no click of class {click.label} at {click.pixel}")
        title = f"remove {len(clicks)} clicks" if len(clicks) > 1 else "remove a click"
        self.set_clicks(self.clicks.removed(*clicks), title)

    def move(self, click: Click, row: int, col: int) -> Click:
        """Move a click to another pixel, and return it as it is then; its place in the order stays.

        Raises
        ------
        ClickError
            If there is no such click, or the pixel is outside the image.
        """
        row, col = _whole(row, col)
        moved = replace(click, row=row, col=col)
        self.set_clicks(self.clicks.replaced(click, moved), f"move a {self._name(click)} click")
        return moved

    def relabel(self, click: Click, label: int) -> Click:
        """Give a click another class, and return it as it is then; its place in the order stays.

        Raises
        ------
        ClickError
            If there is no such click, or the class does not exist.
        """
        changed = replace(click, label=_whole(label)[0])
        self.set_clicks(self.clicks.replaced(click, changed), f"click to {self._name(changed)}")
        return changed

    def add(self, *clicks: Click) -> None:
        """Add clicks in one step; those on the same pixels are replaced.

        Raises
        ------
        ClickError
            If one is outside the image or its class does not exist; nothing changes then.
        """
        what = f"{len(clicks)} clicks" if len(clicks) > 1 else f"{self._name(clicks[0])} click"
        self.set_clicks(self.clicks.added(*clicks), what)

    def move_all(self, pixels: Mapping[Click, tuple[int, int]]) -> None:
        """Move clicks to other pixels in one step; clicks on those pixels are replaced.

        Raises
        ------
        ClickError
            If there is no such click, or a pixel is outside the image; nothing changes then.
        """
        moves = {
            click: replace(click, row=row, col=col)
            for click, (row, col) in ((c, _whole(*pixel)) for c, pixel in pixels.items())
        }
        one = f"a {self._name(next(iter(pixels)))} click"
        what = f"{len(moves)} clicks" if len(moves) > 1 else one
        self.set_clicks(self.clicks.replaced_many(moves), f"move {what}")

    def relabel_all(self, labels: Mapping[Click, int]) -> None:
        """Give clicks other classes in one step; their places in the order stay.

        Raises
        ------
        ClickError
            If there is no such click, or a class does not exist; nothing changes then.
        """
        changes = {click: replace(click, label=_whole(label)[0]) for click, label in labels.items()}
        names = {self._name(click) for click in changes.values()}
        what = f"{len(changes)} clicks" if len(changes) > 1 else "a click"
        title = f"{what} to {names.pop()}" if len(names) == 1 else f"re-class {what}"
        self.set_clicks(self.clicks.replaced_many(changes), title)

    def set_clicks(self, clicks: Clicks, title: str = "change clicks") -> None:
        """Replace all clicks in one step of the history; see `ChangeClicks`.

        `Session.adapt` learns from new clicks when it is called.

        Raises
        ------
        ClickError
            If one lies outside the image or has an unknown class; nothing changes then.
        """
        self.do(ChangeClicks(clicks, title))

    def _name(self, click: Click) -> str:
        exists = 0 <= click.label < len(self.classes)
        return self.classes[click.label].name if exists else f"class {click.label}"

    # ---------------------------------------------------------------- classes

    def set_classes(self, table: ClassTable, title: str = "change classes") -> None:
        """Replace names, colours, order, hiding and merging of the classes in one step.

        Parameters
        ----------
        table : ClassTable
            With an entry for each class; without entries, the network's own table.
        title : str

        Raises
        ------
        ClassTableError
            If its entries are not this network's classes, or two have the same name.
        """
        self.do(SetClasses(table, title))

    # ---------------------------------------------------------------- locks, weights

    def lock(self, *areas: Area, map: Guided = "disca", title: str = "") -> tuple[Lock, ...]:
        """Lock areas in one step, and return the locks: their pixels keep the labels of a map.

        The labels are those with the present clicks and weights, and hold in both maps that
        clicks change. Later adaptations learn from a sample of these pixels.

        Parameters
        ----------
        areas : Area
        map : {"disca", "disir"}
            The map whose labels are kept.

        Raises
        ------
        AreaError
            If an area holds no pixel of the image; nothing changes then.
        """
        before = len(self.step.locks)
        self.do(LockAreas(areas, map, title))
        return tuple(lock for lock in self.step.locks[before:] if isinstance(lock, Lock))

    def unlock(self, *locks: LockOrStroke) -> None:
        """Unlock areas, or remove verdicts and strokes, in one step.

        An adaptation that learned from them is learned again without them by the next refresh.

        Raises
        ------
        AreaError
            If one of them is not in force.
        """
        self.do(Unlock(locks))

    def locked_at(self, row: int, col: int) -> bool:
        """Whether a pixel is locked."""
        pixel = Window(row, col, 1, 1)
        return any(lock.area.mask(pixel).any() for lock in self.locks)

    def drawn_at(self, row: int, col: int) -> bool:
        """Whether a stroke sets the class of a pixel."""
        pixel = Window(row, col, 1, 1)
        for stroke in reversed(self.strokes):
            if stroke.area.mask(pixel).any():
                return stroke.label is not None and not self.locked_at(row, col)
        return False

    def reset_network(self) -> None:
        """Return to the pretrained weights in one step; the clicks stay."""
        self.do(ResetNetwork())
