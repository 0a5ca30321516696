"""How pixel values are to be scaled, and a scaling that was decided, with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import CardError
from napari_disca.core.tiling import Window
from napari_disca.raster.base import Raster
from napari_disca.raster.fill import Fill
from napari_disca.raster.sampling import places

#: Scaled values are cut to this range.
LOWEST, HIGHEST = 0.0, 1.0
Kind = Literal["auto", "dtype", "percentile", "range"]
#: Look for undeclared fill values (True), take all values for data (False), or these values.
FillChoice = bool | tuple[float, ...]
_LARGEST = 1e300


def limited(values: NDArray[Any]) -> NDArray[Any]:
    """Scaled values cut to the range that every network reads, in training and afterwards."""
    cut: NDArray[Any] = np.clip(values, LOWEST, HIGHEST)
    return cut


def fill_choice(text: str) -> FillChoice:
    """Choice of fill values from ``"auto"``, ``"keep"`` or values such as ``"0,255"``.

    Raises
    ------
    CardError
        If it is none.
    """
    if text in ("auto", "keep"):
        return text == "auto"
    try:
        values = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        values = ()
    if not values or not all(_finite(value) for value in values):
        raise CardError(
            f"undeclared no-data values {text[:40]!r} are not like 'auto', 'keep' or '0,255'"
        )
    return values


def fill_text(choice: FillChoice) -> str:
    """Choice as `fill_choice` reads it."""
    if isinstance(choice, tuple):
        return ",".join(f"{value:.17g}" for value in choice)
    return "auto" if choice else "keep"


def _finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return abs(float(value)) < _LARGEST
    except OverflowError:  # an integer beyond any float
        return False


@dataclass(frozen=True, slots=True)
class Scaling:
    """How somebody wants pixel values to be scaled.

    Parameters
    ----------
    kind : {"auto", "dtype", "percentile", "range"}
        ``"auto"``: from the bulk of the values, see `napari_disca.raster.scaling`.
        ``"dtype"``: integers over the largest value of their type (8-bit: 255, 16-bit: 65535),
        floats as they are. ``"percentile"``: the 2nd and 98th percentile of each band become 0
        and 1. ``"range"``: `low` and `high` become 0 and 1, in the unit that the file's scale
        and offset give.
    low, high : float
        Used by ``"range"`` only.

    Raises
    ------
    CardError
        If the kind is unknown or the range is empty.
    """

    kind: Kind = "auto"
    low: float = 0.0
    high: float = 255.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise CardError(
                f"scaling {self.kind!r} is unknown; use 'auto', 'dtype', 'percentile' or 'range'"
            )
        if not (_finite(self.low) and _finite(self.high) and self.low < self.high):
            raise CardError(f"a scaling range from {self.low} to {self.high} is empty")

    @classmethod
    def parse(cls, text: str) -> Scaling:
        """Scaling from its kind, or from ``"LOW:HIGH"``.

        Raises
        ------
        CardError
            If it is neither.
        """
        if text == "range":
            raise CardError("scaling 'range' needs its ends; write LOW:HIGH, for instance 0:4095")
        low, colon, high = text.partition(":")
        if not colon:
            return cls(text)  # type: ignore[arg-type]  # checks it
        try:
            ends = float(low), float(high)
        except ValueError as error:
            raise CardError(f"scaling {text!r} is not like 0:10000") from error
        return cls("range", *ends)

    def __str__(self) -> str:
        return f"{self.low:.10g}:{self.high:.10g}" if self.kind == "range" else self.kind


@dataclass(frozen=True, slots=True)
class ValueScale:
    """A decided scaling, with its numbers.

    Attributes
    ----------
    low, high : tuple of float
        Per band that is read, in the values of the file: what becomes 0 and 1. Values beyond are
        cut.
    fill : Fill
        Values that the file does not declare but that are no data.
    text : str
        The choice as one readable line.
    wanted : Scaling or None
        What it was decided from; None in journals that do not say.
    find_fill : bool or tuple of float
        Whether undeclared fill values were looked for, or those that were given.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    fill: Fill
    text: str
    wanted: Scaling | None = field(default=None, compare=False)
    find_fill: FillChoice = field(default=True, compare=False)

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Scale pixels ``(bands, height, width)``; what is no number stays none."""
        exact = np.float32 if pixels.dtype in (np.uint8, np.uint16, np.int16, np.float32) else float
        low = np.array(self.low)[:, None, None]
        gain = 1 / (np.array(self.high)[:, None, None] - low)
        # An overflow or an inf - inf becomes a pixel without data.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (pixels.astype(exact) - low.astype(exact)) * gain.astype(exact)
            cut = limited(scaled)
        return np.asarray(cut, dtype=np.float32)

    def leave_out(
        self,
        pixels: NDArray[np.generic],
        valid: NDArray[np.bool_],
        window: Window,
        raster: Raster,
    ) -> None:
        """Mark pixels of a window of the image that have a fill value as invalid, in place."""
        if self.fill:
            self.fill.leave_out(pixels, valid, *places(window, raster))

    def of_bands(self, count: int) -> ValueScale:
        """The same for the first bands only."""
        fill = self.fill.of_bands(range(count))
        return replace(self, low=self.low[:count], high=self.high[:count], fill=fill)

    def to_json(self) -> dict[str, Any]:
        """Numbers and text for a journal."""
        return {
            "low": list(self.low),
            "high": list(self.high),
            **self.fill.to_json(),
            "text": self.text,
            "wanted": None if self.wanted is None else str(self.wanted),
            "find_fill": list(self.find_fill)
            if isinstance(self.find_fill, tuple)
            else self.find_fill,
        }

    @classmethod
    def from_json(cls, value: object) -> ValueScale:
        """Scale from `to_json`.

        Raises
        ------
        ValueError
            If it is none.
        """
        if not isinstance(value, Mapping):
            raise ValueError("a scaling is a table")
        low, high = (_numbers(value.get(key)) for key in ("low", "high"))
        fill = Fill.from_json(value)
        text = value.get("text")
        if (
            not len(low) == len(high) == len(fill.values) > 0
            or any(a == b for a, b in zip(low, high, strict=True))
            or not isinstance(text, str)
        ):
            raise ValueError("a scaling has low, high and fill of each band, and a text")
        wanted, find = _wanted(value.get("wanted")), value.get("find_fill")
        given = _numbers(find)
        return cls(low, high, fill, text, wanted, given if given else find is not False)

    @property
    def facts(self) -> tuple[object, ...]:
        """All that scaled values depend on, for fingerprints."""
        return self.low, self.high, self.fill.to_json()

    def same_values(self, other: ValueScale) -> bool:
        """Whether another scale gives every pixel the same value, whatever it was decided from."""
        return (self.low, self.high, self.fill) == (other.low, other.high, other.fill)


def _numbers(value: object) -> tuple[float, ...]:
    """Numbers of a list that somebody else wrote; empty if it holds anything else."""
    if not isinstance(value, list) or not all(_finite(v) for v in value):
        return ()
    return tuple(float(v) for v in value)


def _wanted(text: object) -> Scaling | None:
    try:
        return Scaling.parse(text) if isinstance(text, str) else None
    except CardError:  # a later version may know more kinds
        return None
