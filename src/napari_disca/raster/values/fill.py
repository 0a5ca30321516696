"""Fill values: pixels without data that the file does not declare as such.

`napari_disca.raster.values.fill_search` finds them.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_disca.raster.values.masks import equals

#: Most rows and columns of the grid of a `Border`.
BORDER_CELLS = 256
_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Border:
    """Areas without data of one colour, at the edge of an image or as blocks inside it.

    Pixels of that colour elsewhere, for instance saturated roofs, are data.

    Parameters
    ----------
    colour : tuple of float
        A value for each band that is read.
    shape : (int, int)
        Height and width of the image.
    grid : (int, int)
        Rows and columns of cells that the image is divided into.
    cells : bytes
        Bits of the grid, row by row: 1 for cells in which pixels of that colour have no data.
    at_edge : bool
        Whether the areas reach the image's corners.
    """

    colour: tuple[float, ...]
    shape: tuple[int, int]
    grid: tuple[int, int]
    cells: bytes
    at_edge: bool = True

    @classmethod
    def of_cells(
        cls,
        colour: Sequence[float],
        shape: tuple[int, int],
        cells: NDArray[np.bool_],
        *,
        at_edge: bool = True,
    ) -> Self:
        """Return the border of a mask of cells, a ``(rows, columns)`` grid over the image."""
        rows, cols = cells.shape
        return cls(tuple(colour), shape, (rows, cols), np.packbits(cells).tobytes(), at_edge)

    def near(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether pixels lie in the border's cells, as a ``(len(rows), len(cols))`` array."""
        bits = np.unpackbits(np.frombuffer(self.cells, np.uint8), count=self.grid[0] * self.grid[1])
        flags = bits.reshape(self.grid).astype(np.bool_)
        down = np.clip(rows * self.grid[0] // self.shape[0], 0, self.grid[0] - 1)
        across = np.clip(cols * self.grid[1] // self.shape[1], 0, self.grid[1] - 1)
        near: NDArray[np.bool_] = flags[np.ix_(down, across)]
        return near

    def to_json(self) -> dict[str, Any]:
        """Return the values of JSON for a journal."""
        packed = base64.b64encode(zlib.compress(self.cells, 9)).decode()
        members = {"shape": [*self.shape], "grid": [*self.grid], "cells": packed}
        return {"colour": [*self.colour], **members, "at_edge": self.at_edge}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the border that `to_json` wrote.

        Raises
        ------
        ValueError
            If the value is not one that `to_json` writes.
        """
        if not isinstance(value, Mapping):
            raise ValueError("the border of a scaling is a table")
        sides = [*_numbers(value.get("shape")), *_numbers(value.get("grid"))]
        packed, colour = value.get("cells"), _numbers(value.get("colour"))
        possible = len(sides) == 4 and min(sides) >= 1 and max(sides) < 2**31
        if not possible or max(sides[2:]) > BORDER_CELLS or not colour:
            raise ValueError("the border of a scaling has a colour, a shape and a grid")
        height, width, rows, cols = (int(side) for side in sides)
        size = -(-rows * cols // 8)
        try:
            raw = base64.b64decode(packed if isinstance(packed, str) else "", validate=True)
            cells = zlib.decompressobj().decompress(raw, size + 1)
        except (binascii.Error, zlib.error, ValueError) as error:
            raise ValueError("the border of a scaling has cells") from error
        if len(cells) != size:
            raise ValueError("the border of a scaling has a cell for each part of its grid")
        return cls(colour, (height, width), (rows, cols), cells, value.get("at_edge") is not False)


@dataclass(frozen=True, slots=True)
class Fill:
    """Undeclared fill values of the bands that are read.

    Attributes
    ----------
    values : tuple of tuple of float
        Fill values per band. A pixel has no data if one of its bands has one of them.
    joint : tuple of tuple of float
        Colours, a value for each band. A pixel has no data if all its bands have them.
    borders : tuple of Border
        Areas of one colour, at the image's edge or in blocks.
    share : float
        Share of the sampled pixels that have no data for these reasons.
    """

    values: tuple[tuple[float, ...], ...]
    joint: tuple[tuple[float, ...], ...] = ()
    borders: tuple[Border, ...] = ()
    share: float = field(default=0.0, compare=False)

    @classmethod
    def none(cls, bands: int) -> Self:
        """Return a fill of so many bands that leaves nothing out."""
        return cls(((),) * bands)

    def __bool__(self) -> bool:
        return any(self.values) or bool(self.joint or self.borders)

    @property
    def named(self) -> tuple[float, ...]:
        """All fill values in ascending order, each once."""
        colours = (*self.values, *self.joint, *(border.colour for border in self.borders))
        return tuple(sorted({value for colour in colours for value in colour}))

    def of_bands(self, indices: Sequence[int]) -> Self:
        """Return the fill of some of these bands, or of the bands in another order."""

        def chosen(colour: Sequence[float]) -> tuple[float, ...]:
            return tuple(colour[k] for k in indices)

        return replace(
            self,
            values=tuple(self.values[k] for k in indices),
            joint=tuple(chosen(colour) for colour in self.joint),
            borders=tuple(replace(b, colour=chosen(b.colour)) for b in self.borders),
        )

    def describe(self, *, left_out: bool = True) -> str:
        """One line on what is left out, or would be; empty if nothing."""
        if not self:
            return ""
        values = and_list([value_text(value) for value in self.named])
        taken = "no data" if left_out else "data, as was chosen"
        return f"{values} on {100 * self.share:.0f} % of the pixels taken for {taken}{self._where}"

    @property
    def note(self) -> str:
        """One line on what is left out, without the share, which differs between images."""
        values = and_list([value_text(value) for value in self.named])
        return f"{values} taken for no data{self._where}" if self else ""

    @property
    def _where(self) -> str:
        elsewhere = {v for colour in (*self.values, *self.joint) for v in colour}
        parts = []
        for at_edge, where in ((True, "at the image's edge"), (False, "in whole blocks")):
            colours = [b.colour for b in self.borders if b.at_edge is at_edge]
            values = sorted({v for colour in colours for v in colour} - elsewhere)
            if values:
                parts.append(f"{and_list([value_text(v) for v in values])} only {where}")
        return f" ({', '.join(parts)})" if parts else ""

    def leave_out(
        self,
        pixels: NDArray[np.generic],
        valid: NDArray[np.bool_],
        rows: NDArray[np.intp],
        cols: NDArray[np.intp],
    ) -> None:
        """Mark pixels that have no data as invalid, in place.

        Parameters
        ----------
        pixels : (bands, height, width) array
            In the image's own type.
        valid : (height, width) array of bool
        rows, cols : (height,) array, (width,) array
            The pixels' rows and columns in the image.
        """
        for band, values in zip(pixels, self.values, strict=True):
            for value in values:
                valid &= ~equals(band, value)
        for colour in self.joint:
            valid &= ~_all_equal(pixels, colour)
        for border in self.borders:
            near = border.near(rows, cols)
            if near.any():
                valid &= ~(near & _all_equal(pixels, border.colour))

    def to_json(self) -> dict[str, Any]:
        """Return members of a journal's table: a value, several or None per band, and the areas."""
        members: dict[str, Any] = {
            "fill": [v[0] if len(v) == 1 else [*v] or None for v in self.values]
        }
        if self.joint:
            members["joint_fill"] = [[*colour] for colour in self.joint]
        if self.borders:
            members["borders"] = [border.to_json() for border in self.borders]
        return members

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Self:
        """Return the fill of a table with the members of `to_json`, also of a journal of 0.1.

        Raises
        ------
        ValueError
            If the value is not one that `to_json` writes.
        """
        bands, colours = table.get("fill"), table.get("joint_fill", [])
        borders = table.get("borders", [])
        if not all(isinstance(part, list) for part in (bands, colours, borders)):
            raise ValueError("a scaling has lists of fill values")
        found = cls(
            tuple(
                () if v is None else _numbers(v if isinstance(v, list) else [v])
                for v in bands  # type: ignore[union-attr]  # checked above
            ),
            tuple(_numbers(colour) for colour in colours),
            tuple(Border.from_json(border) for border in borders),
        )
        areas = (*found.joint, *(border.colour for border in found.borders))
        if any(len(colour) != len(found.values) for colour in areas):
            raise ValueError("the fill colours of a scaling have a value for each band")
        return found


def value_text(value: float) -> str:
    """Text of a pixel value for the user: integers in full, others with six digits."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.6g}"


def and_list(texts: Sequence[str]) -> str:
    """Return texts joined as in a sentence: ``"a, b and c"``."""
    return " and ".join([text for text in (", ".join(texts[:-1]), *texts[-1:]) if text])


def _all_equal(pixels: NDArray[np.generic], colour: Sequence[float]) -> NDArray[np.bool_]:
    same = np.ones(pixels.shape[1:], dtype=np.bool_)
    for band, value in zip(pixels, colour, strict=True):
        same &= equals(band, value)
    return same


def _numbers(value: object) -> tuple[float, ...]:
    """Return the finite numbers of a list in a file.

    Raises
    ------
    ValueError
        If it holds anything else, or nothing.
    """
    if not isinstance(value, list) or not value:
        raise ValueError("the fill of a scaling is made of lists of numbers")
    for number in value:
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not abs(number) < _LARGEST:
            raise ValueError("the fill of a scaling is made of numbers")
    return tuple(float(number) for number in value)
