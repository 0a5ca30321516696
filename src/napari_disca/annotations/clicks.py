"""Clicks: labelled pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import ClickError
from napari_disca.core.shared_tuple import SharedTuple
from napari_disca.core.tiling import Window


@dataclass(frozen=True, slots=True)
class Click:
    """A pixel and the class id that the user gave it, ``0 <= label < classes``."""

    row: int
    col: int
    label: int

    @property
    def pixel(self) -> tuple[int, int]:
        """``(row, col)``."""
        return self.row, self.col


@dataclass(frozen=True, slots=True)
class MergedClick(Click):
    """A pixel of a coarser grid on which several clicks of the image fall.

    Attributes
    ----------
    clicks : tuple of Click
        The image's clicks, sorted by row and column.
    """

    clicks: tuple[Click, ...] = ()


class Clicks:
    """The user's clicks, oldest first; immutable: every change returns another object.

    A pixel holds one click: of two on the same pixel the later one stays. Changed clicks share
    memory with the ones before, so that a history of thousands of clicks takes little more than
    its last step.

    Parameters
    ----------
    items : iterable of Click
    """

    __slots__ = ("_clicks",)

    _clicks: SharedTuple[Click]

    def __init__(self, items: Iterable[Click] = ()) -> None:
        self._clicks = SharedTuple(_latest(items))

    @classmethod
    def _from(cls, shared: SharedTuple[Click]) -> Clicks:
        """Clicks of which every pixel has one at most."""
        clicks = cls.__new__(cls)
        clicks._clicks = shared
        return clicks

    @property
    def items(self) -> tuple[Click, ...]:
        """All clicks."""
        return tuple(self._clicks)

    def __len__(self) -> int:
        return len(self._clicks)

    def __iter__(self) -> Iterator[Click]:
        return iter(self._clicks)

    def __contains__(self, click: object) -> bool:
        return click in self.items

    def __eq__(self, other: object) -> bool:
        return self._clicks == other._clicks if isinstance(other, Clicks) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._clicks)

    def __repr__(self) -> str:
        return f"Clicks({self.items!r})"

    def added(self, *clicks: Click) -> Clicks:
        """Return these clicks and the given ones, which become the latest."""
        new = _latest(clicks)
        if not new:
            return self
        pixels = {click.pixel for click in new}
        others = self._clicks.kept(lambda click: (click.row, click.col) not in pixels)
        return Clicks._from(others.added(*new))

    def removed(self, *clicks: Click) -> Clicks:
        """Return these clicks without the given ones."""
        gone = set(clicks)
        return Clicks._from(self._clicks.kept(lambda click: click not in gone))

    def replaced(self, old: Click, new: Click) -> Clicks:
        """Return clicks in which `new` stands for `old`, at its position in the order.

        Raises
        ------
        ClickError
            If `old` is not among the clicks.
        """
        if old not in self:
            raise ClickError(f"there is no click of class {old.label} at {old.pixel} to move")

        def change(click: Click) -> Click | None:
            if click == old:
                return new
            return None if (click.row, click.col) == new.pixel else click

        return Clicks._from(self._clicks.mapped(change))

    def replaced_many(self, changes: Mapping[Click, Click]) -> Clicks:
        """Return clicks in which new ones stand for old ones; others on the new pixels are removed.

        Parameters
        ----------
        changes : mapping
            Old click -> new one.

        Raises
        ------
        ClickError
            If an old one is not among the clicks.
        """
        for click in changes.keys() - set(self):
            raise ClickError(f"there is no click of class {click.label} at {click.pixel} to change")
        taken = {new.pixel for new in changes.values()}

        def change(click: Click) -> Click | None:
            new = changes.get(click)
            return new if new is not None else None if click.pixel in taken else click

        changed = self._clicks.mapped(change)
        if len(taken) == len(changes):
            return Clicks._from(changed)
        return Clicks(changed)  # two on one pixel: the later stays

    def inside(self, window: Window) -> Clicks:
        """Return only the clicks on pixels of `window`."""
        return Clicks(click for click in self if click.pixel in window)

    def checked(self, shape: tuple[int, int], classes: int) -> Clicks:
        """Return the clicks themselves if they fit an image and a network.

        Raises
        ------
        ClickError
            If a click lies outside a raster of this shape or its class does not exist.
        """
        whole = Window.whole(shape)
        for click in self:
            if click.pixel not in whole:
                raise ClickError(
                    f"the click at row {click.row}, column {click.col} lies outside the image of "
                    f"{shape[0]} x {shape[1]} pixels; remove it or open the image it was made on"
                )
            if not 0 <= click.label < classes:
                raise ClickError(
                    f"the click at row {click.row}, column {click.col} has class {click.label}, "
                    f"but the network's classes are 0 to {classes - 1}; choose one of these"
                )
        return self

    def arrays(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Rows, columns and labels as integer arrays of shape ``(len(self),)``."""
        table = np.array([(c.row, c.col, c.label) for c in self], dtype=np.intp)
        rows, cols, labels = table.reshape(-1, 3).T
        return rows, cols, labels


def _latest(clicks: Iterable[Click]) -> tuple[Click, ...]:
    """Of the clicks on each pixel only the latest."""
    latest: dict[tuple[int, int], Click] = {}
    for click in clicks:
        latest.pop(click.pixel, None)
        latest[click.pixel] = click
    return tuple(latest.values())
