"""Decides from the contents of masks how a folder encodes classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.networks import LandClass
from napari_disca.training.mask_codings import (
    POTSDAM_CLASSES,
    TOLERANCE,
    Coding,
    colours,
    greys,
    nearest_colour,
)
from napari_disca.training.mask_files import MaskFile, Strip, open_mask

#: Most masks that are read to find the coding of a folder.
_LOOKED_AT = 16
#: Approximate number of pixels of a mask whose colours are counted.
_PIXELS = 1 << 20
#: Least share of a mask that must fit a coding.
EXPLAINED = 0.95
#: Most distinct values of a band of a mask; a file with more is a picture.
_VALUES = 4096
#: Least share of a mask for a colour that counts.
_SEEN = 1e-4
#: Least number of Potsdam's colours, besides white and black, in its masks together.
_POTSDAM = 3


@dataclass(frozen=True, eq=False)
class Content:
    """Values and colours of a mask.

    Attributes
    ----------
    name : str
    lossy : bool
    coloured : bool
        Whether its three channels differ.
    palette : bool
    values : dict of float to int
        Number of pixels by value of its band (or of three equal ones); empty if it is coloured.
    colours : (n, 3) array of uint8
    counts : (n,) array of int
        Number of pixels of each colour in a sample.
    """

    name: str
    lossy: bool
    coloured: bool
    palette: bool
    values: dict[float, int]
    colours: NDArray[np.uint8]
    counts: NDArray[np.int64]

    def share(self, explained: NDArray[np.bool_]) -> float:
        """Return the share of pixels with some of the colours."""
        total = int(self.counts.sum())
        return float(self.counts[explained].sum()) / total if total else 1.0

    @property
    def exact(self) -> set[float]:
        """The values without 255."""
        return set(self.values) - {float(IGNORE)}

    def labels(self, colours: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
        """Return the index in a colours of each colour; 255 for none."""
        return nearest_colour(self.colours.T, colours)

    def shown(self) -> str:
        """Return the commonest values or colours, for a message."""
        if not self.coloured and not self.palette:
            common = Counter(self.values).most_common(5)
            more = ", ..." if len(self.values) > len(common) else ""
            return "the values " + ", ".join(f"{v:g}" for v, _ in common) + more
        order = np.argsort(-self.counts)[:5]
        total = max(1, int(self.counts.sum()))
        return "the colours " + ", ".join(
            "#{:02x}{:02x}{:02x} ({:.0%})".format(*self.colours[i], self.counts[i] / total)
            for i in order
        )


def look(path: Path) -> Content:
    """Return the values and colours of a mask.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    with open_mask(path) as file:
        values: Counter[float] = Counter()
        found: Counter[int] = Counter()
        coloured = False
        step = max(1, round((file.shape[0] * file.shape[1] / _PIXELS) ** 0.5))
        for strip in file.strips():
            certain = file.certain(strip)
            if not coloured:
                grey = greys(file, strip)
                coloured = grey is None
                if grey is not None:
                    _count(values, grey[certain], file)
            # Thinned before colours are looked up, which triples the bytes.
            rows, cols = np.s_[::step], np.s_[::step]
            thin = Strip(strip.top, strip.pixels[:, rows, cols], strip.present[rows, cols])
            red, green, blue = colours(file, thin).astype(np.int64)
            kinds, counts = _unique(((red * 256 + green) * 256 + blue)[certain[rows, cols]])
            found.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
    packed = np.array(list(found), dtype=np.int64)
    table = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.uint8)
    return Content(
        path.name,
        file.lossy,
        coloured,
        file.palette is not None,
        {} if coloured else dict(values),
        table,
        np.array(list(found.values()), dtype=np.int64),
    )


def _count(values: Counter[float], grey: NDArray[Any], file: MaskFile) -> None:
    if file.nodata is not None and np.isnan(file.nodata):
        grey = grey[~np.isnan(grey)]
    elif file.nodata is not None and not 0 <= file.nodata < IGNORE:
        grey = grey[grey != file.nodata]
    kinds, counts = _unique(grey)
    values.update(dict(zip(kinds.astype(float).tolist(), counts.tolist(), strict=True)))
    if len(values) > _VALUES:
        raise DataError(
            f"mask {file.path.name} holds more than {_VALUES} different values; is it a picture "
            "instead of a mask?"
        )


def _unique(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the distinct values and their counts, by counting where sorting is slower."""
    if values.dtype != np.uint8:
        kinds, counts = np.unique(values, return_counts=True)
        return kinds, counts
    counts = np.bincount(values, minlength=256)
    kinds = np.flatnonzero(counts)
    return kinds, counts[kinds]


def coding_of(paths: Sequence[Path], classes: Sequence[LandClass]) -> Coding:
    """Return the coding of the masks of a folder, from their contents.

    One mask may fit several codings: a mask of class ids may hold 0 and 255 (ignore) only, one of
    Potsdam white only. So up to 16 masks of the folder are read.

    Parameters
    ----------
    paths : sequence of Path
    classes : sequence of LandClass
        The classes; their colours are used.

    Raises
    ------
    DataError
        If a mask cannot be read, or no coding fits them all.
    """
    step = max(1, -(-len(paths) // _LOOKED_AT))
    contents = [look(path) for path in paths[::step]]
    possible = [_possible(content, classes) for content in contents]
    for content, codings in zip(contents, possible, strict=True):
        if not codings:
            raise DataError(_unexplained(content, classes))
    if not possible:
        return "ids"
    common = set.intersection(*possible)
    spoken_for = common - _without_evidence(contents, common, classes)
    order: list[Coding] = ["colours", "potsdam", "potsdam-buildings", "binary255", "ids"]
    if [c.rgb for c in classes] == [c.rgb for c in POTSDAM_CLASSES]:
        order.insert(0, "potsdam")  # its decoder knows the meaning of black
    for coding in order:
        if coding in spoken_for:
            return coding
    if common:
        odd = next((c for c in contents if c.coloured or c.exact - {0.0}), contents[0])
        raise DataError(_unexplained(odd, classes))
    one, other = _disagreeing(contents, possible)
    raise DataError(
        f"the masks are not coded in one way: {one.name} holds {one.shown()}, {other.name} holds "
        f"{other.shown()}; convert some, or name the coding with --mask-coding"
    )


def _possible(content: Content, classes: Sequence[LandClass]) -> set[str]:
    """Return the codings that fit a mask."""
    found: set[str] = set()
    if (content.share(content.labels([c.rgb for c in classes]) != IGNORE)) >= EXPLAINED:
        found.add("colours")
    potsdam = [*(c.rgb for c in POTSDAM_CLASSES), (0, 0, 0)]
    if (
        len(classes) in (2, len(POTSDAM_CLASSES))
        and (content.coloured or not content.palette)
        and content.share(content.labels(potsdam) != IGNORE) >= EXPLAINED
    ):
        found.add("potsdam" if len(classes) > 2 else "potsdam-buildings")
    if content.coloured:
        return found
    ids = all(0 <= v <= IGNORE and v == int(v) for v in content.values)
    if ids and (not content.lossy or content.exact <= {0.0}):
        found.add("ids")
    if len(classes) == 2 and _is_binary(content):
        found.add("binary255")
    return found


def _is_binary(content: Content) -> bool:
    """Whether a mask may hold two classes as 0 and 255, after compression."""
    values = content.values
    if set(values) <= {0.0, 255.0} or set(values) == {0.0, 65535.0}:
        return True
    # Nearly white, but not 255: it was compressed or resampled.
    noisy = any(255 - TOLERANCE <= v < 255 for v in values)
    close = sum(n for v, n in values.items() if v <= TOLERANCE or 255 - TOLERANCE <= v <= 255)
    return (
        (content.lossy or noisy)
        and max(values, default=0) <= 255
        and close >= EXPLAINED * sum(values.values())
    )


def _without_evidence(
    contents: Sequence[Content], common: set[str], classes: Sequence[LandClass]
) -> set[str]:
    """Return the codings that fit the masks, but for which they hold no evidence."""
    out: set[str] = set()
    plain = common - {"colours", "potsdam", "potsdam-buildings"}
    if plain and len(_seen(contents, [c.rgb for c in classes])) < 2:
        out.add("colours")
    chromatic = [c.rgb for c in POTSDAM_CLASSES[1:]]
    if len(_seen([c for c in contents if c.coloured], chromatic)) < _POTSDAM:
        out |= {"potsdam", "potsdam-buildings"}
    bright = any(v >= 255 - TOLERANCE for c in contents for v in c.values)
    if not bright and any(c.exact - {0.0} for c in contents):
        out.add("binary255")  # all pixels would be class 0; ids are more likely
    return out


def _seen(contents: Sequence[Content], colours: Sequence[tuple[int, int, int]]) -> set[int]:
    """Return the colours of a colours that occur in the masks."""
    seen: set[int] = set()
    for content in contents:
        labels = content.labels(colours)
        seen |= {i for i in range(len(colours)) if content.share(labels == i) > _SEEN}
    return seen


def _disagreeing(
    contents: Sequence[Content], possible: Sequence[set[str]]
) -> tuple[Content, Content]:
    for content, codings in zip(contents[1:], possible[1:], strict=True):
        if not codings & possible[0]:
            return contents[0], content
    narrowest = min(range(len(possible)), key=lambda i: len(possible[i]))
    others = [i for i in range(len(possible)) if i != narrowest] or [narrowest]
    return contents[narrowest], contents[others[0]]


def _unexplained(content: Content, classes: Sequence[LandClass]) -> str:
    """Return an error message about a mask that fits no coding."""
    # Compression can make ids slightly larger.
    if content.lossy and not content.coloured and max(content.exact, default=0) < len(classes) + 8:
        return (
            f"mask {content.name} is compressed with loss, which changes class ids at borders; "
            "save the masks as PNG or GeoTIFF, or say --mask-coding ids if they are exact"
        )
    given = ", ".join(f"{c.color} {c.name}" for c in classes)
    return (
        f"mask {content.name} holds {content.shown()}: neither class ids 0 to {len(classes) - 1} "
        f"nor the colours of the classes ({given}); give the colours as in "
        "--classes 'water:#0000ff,other:#000000'"
    )
