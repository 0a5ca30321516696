"""Clicks: labelled pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import is_

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import ClickError
from napari_disca.core.tiling import Window

#: Most clicks of a block.
_BLOCK = 64


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

    A pixel holds one click: of two on the same pixel the later one stays. Clicks are stored in
    blocks, and a change replaces one block, so that a history of thousands of clicks takes little
    more memory than its last step.

    Parameters
    ----------
    items : iterable of Click
    """

    __slots__ = ("_blocks", "_count")

    _blocks: tuple[tuple[Click, ...], ...]
    _count: int

    def __init__(self, items: Iterable[Click] = ()) -> None:
        self._fill(_blocks_of(_latest(items)))

    @classmethod
    def _from(cls, blocks: Iterable[tuple[Click, ...]]) -> Clicks:
        """Clicks made of blocks, in which every pixel occurs once at most."""
        clicks = cls.__new__(cls)
        clicks._fill(blocks)
        return clicks

    def _fill(self, blocks: Iterable[tuple[Click, ...]]) -> None:
        filled = tuple(block for block in blocks if block)
        self._count = sum(map(len, filled))
        if len(filled) > 2 * (self._count // _BLOCK) + 8:  # much was removed
            filled = tuple(_blocks_of(tuple(chain.from_iterable(filled))))
        self._blocks = filled

    @property
    def items(self) -> tuple[Click, ...]:
        """All clicks."""
        return tuple(chain.from_iterable(self._blocks))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Click]:
        return chain.from_iterable(self._blocks)

    def __contains__(self, click: object) -> bool:
        return any(click in block for block in self._blocks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Clicks):
            return NotImplemented
        # Versions of a history share their blocks, and tuples compare identical blocks at once.
        return self is other or (
            self._count == other._count
            and (self._blocks == other._blocks or self.items == other.items)
        )

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        return f"Clicks({self.items!r})"

    def added(self, *clicks: Click) -> Clicks:
        """Return these clicks and the given ones, which become the latest."""
        new = _latest(clicks)
        if not new:
            return self
        pixels = {click.pixel for click in new}
        blocks = self._mapped(lambda click: None if (click.row, click.col) in pixels else click)
        last = blocks.pop() if blocks and len(blocks[-1]) < _BLOCK else ()
        return Clicks._from([*blocks, *_blocks_of((*last, *new))])

    def removed(self, *clicks: Click) -> Clicks:
        """Return these clicks without the given ones."""
        gone = set(clicks)
        return Clicks._from(self._mapped(lambda click: None if click in gone else click))

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

        return Clicks._from(self._mapped(change))

    def _mapped(self, change: Callable[[Click], Click | None]) -> list[tuple[Click, ...]]:
        """Blocks of changed clicks (None: removed); the same object where nothing changes."""
        mapped = []
        for block in self._blocks:
            changed = tuple(map(change, block))
            same = all(map(is_, changed, block))
            mapped.append(block if same else tuple(c for c in changed if c is not None))
        return mapped

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

        blocks = self._mapped(change)
        if len(taken) == len(changes):
            return Clicks._from(blocks)
        return Clicks(chain.from_iterable(blocks))  # two on one pixel: the later stays

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


def _blocks_of(clicks: tuple[Click, ...]) -> list[tuple[Click, ...]]:
    return [clicks[start : start + _BLOCK] for start in range(0, len(clicks), _BLOCK)]
