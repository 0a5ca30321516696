"""`Scaling`, the choice of how pixel values are scaled, and `ValueScale`, the decided numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import CardError
from napari_disca.core.tiling import Window
from napari_disca.raster.base import Raster
from napari_disca.raster.values.fill import Fill
from napari_disca.raster.values.sampling import places

#: Scaled values are clipped to this range.
LOWEST, HIGHEST = 0.0, 1.0
Kind = Literal["auto", "dtype", "percentile", "range"]
#: True: search for undeclared fill values; False: all values are data; or the fill values.
FillChoice = bool | tuple[float, ...]
_LARGEST = 1e300


def clipped(values: NDArray[Any]) -> NDArray[Any]:
    """Return scaled values within the range that networks read, in training and in prediction."""
    cut: NDArray[Any] = np.clip(values, LOWEST, HIGHEST)
    return cut


def fill_choice(text: str) -> FillChoice:
    """Return the choice of fill values for ``"auto"``, ``"keep"`` or values such as ``"0,255"``.

    Raises
    ------
    CardError
        If the text is none of these.
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
    """Return a choice as a text that `fill_choice` reads."""
    if isinstance(choice, tuple):
        return ",".join(f"{value:.17g}" for value in choice)
    return "auto" if choice else "keep"


def _finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return abs(float(value)) < _LARGEST
    except OverflowError:  # an integer that is too large for a float
        return False


@dataclass(frozen=True, slots=True)
class Scaling:
    """The user's or a card's choice of how pixel values are scaled.

    Parameters
    ----------
    kind : {"auto", "dtype", "percentile", "range"}
        ``"auto"``: from the bulk of the values, see `napari_disca.raster.values.scaling`.
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
        """Return the scaling of a kind or of ``"LOW:HIGH"``.

        Raises
        ------
        CardError
            If the text is neither.
        """
        if text == "range":
            raise CardError("scaling 'range' needs its ends; write LOW:HIGH, for instance 0:4095")
        low, colon, high = text.partition(":")
        if not colon:
            return cls(text)  # type: ignore[arg-type]  # checked there
        try:
            ends = float(low), float(high)
        except ValueError as error:
            raise CardError(f"scaling {text!r} is not like 0:10000") from error
        return cls("range", *ends)

    def __str__(self) -> str:
        return f"{self.low:.10g}:{self.high:.10g}" if self.kind == "range" else self.kind


@dataclass(frozen=True, slots=True)
class ValueScale:
    """How the pixel values of an image are scaled, with all numbers.

    Attributes
    ----------
    low, high : tuple of float
        Per band that is read: the file's values that become 0 and 1. Values outside are
        clipped.
    fill : Fill
        Fill values that the file does not declare.
    text : str
        One line on it for the user.
    wanted : Scaling or None
        The choice it was decided from; None from journals that do not tell it.
    find_fill : bool or tuple of float
        Whether undeclared fill values were searched for, or the given ones.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    fill: Fill
    text: str
    wanted: Scaling | None = field(default=None, compare=False)
    find_fill: FillChoice = field(default=True, compare=False)

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Scale pixels ``(bands, height, width)``; NaN stays NaN."""
        exact = np.float32 if pixels.dtype in (np.uint8, np.uint16, np.int16, np.float32) else float
        low = np.array(self.low)[:, None, None]
        gain = 1 / (np.array(self.high)[:, None, None] - low)
        # An overflow, or inf - inf, gives a pixel without data.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (pixels.astype(exact) - low.astype(exact)) * gain.astype(exact)
            cut = clipped(scaled)
        return np.asarray(cut, dtype=np.float32)

    def leave_out(
        self,
        pixels: NDArray[np.generic],
        valid: NDArray[np.bool_],
        window: Window,
        raster: Raster,
    ) -> None:
        """Mark pixels of a window with a fill value as invalid, in place."""
        if self.fill:
            self.fill.leave_out(pixels, valid, *places(window, raster))

    def of_bands(self, count: int) -> ValueScale:
        """Return the scale of the first bands only."""
        fill = self.fill.of_bands(range(count))
        return replace(self, low=self.low[:count], high=self.high[:count], fill=fill)

    def to_json(self) -> dict[str, Any]:
        """Return the values of JSON for a journal."""
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
        """Return the scale that `to_json` wrote.

        Raises
        ------
        ValueError
            If the value is not one that `to_json` writes.
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
        """Everything that scaled values depend on, for fingerprints."""
        return self.low, self.high, self.fill.to_json()

    def same_values(self, other: ValueScale) -> bool:
        """Whether another scale gives every pixel the same value."""
        return (self.low, self.high, self.fill) == (other.low, other.high, other.fill)


def _numbers(value: object) -> tuple[float, ...]:
    """Numbers of a list from a file; empty if it has other items."""
    if not isinstance(value, list) or not all(_finite(v) for v in value):
        return ()
    return tuple(float(v) for v in value)


def _wanted(text: object) -> Scaling | None:
    try:
        return Scaling.parse(text) if isinstance(text, str) else None
    except CardError:  # a later version may know more kinds
        return None
