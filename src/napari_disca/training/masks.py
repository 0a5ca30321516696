"""Reads reference masks in the coding of their data set.

`MaskReader` finds the coding once for a folder; it returns class ids, with 255 for unknown pixels,
and can describe its decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.networks import LandClass
from napari_disca.training.mask_codings import CODINGS, Coding, MaskInfo, coding_text
from napari_disca.training.mask_contents import EXPLAINED, coding_of
from napari_disca.training.mask_files import Grid, open_mask

_NOTES = {
    "equal": "three equal channels are one band",
    "warped": "read on the grid of its image, which is another",
    "transparent": "transparent pixels are not known",
    "odd": "pixels of no class are not known",
    "binary": "0 and 255 only, of which 255 is read as not known; --mask-coding binary255 if it is "
    "a class",
}


class MaskReader:
    """Reads the masks of a folder.

    Parameters
    ----------
    masks : sequence of Path
        All masks of the folder, since one may not be enough to find the coding.
    classes : sequence of LandClass
        Class ``i`` has the id ``i``; the colours are used.
    coding : str
        ``"ids"``: one band of class ids (or palette indices), 255 where unknown.
        ``"binary255"``: 0 is class 0, 255 class 1 (INRIA, AIRS). ``"colours"``: the classes' own
        colours. ``"potsdam"``: six RGB colours in the order of `POTSDAM_CLASSES`; black (the
        borders that Potsdam's scores leave out) becomes 255. ``"potsdam-buildings"``: the same
        masks as building or other. ``"auto"``: what `coding_of` finds.

        Three equal channels are one band. Transparent pixels become 255, as do up to 5 % of pixels
        without a class, and those mixed by lossy compression at borders.

    Attributes
    ----------
    coding : str
        Never ``"auto"``.

    Raises
    ------
    DataError
        If the coding is unknown or cannot be found.
    """

    def __init__(
        self, masks: Sequence[Path], classes: Sequence[LandClass], coding: Coding = "auto"
    ) -> None:
        if coding != "auto" and coding not in CODINGS:
            raise DataError(f"mask coding {coding!r} is unknown; use auto, {', '.join(CODINGS)}")
        self._classes = tuple(classes)
        self.coding: Coding = coding_of(masks, classes) if coding == "auto" else coding
        self._notes: Counter[str] = Counter()

    def read(self, path: Path, grid: Grid) -> NDArray[np.uint8]:
        """Return the class ids ``(height, width)`` of a mask, on the grid of its image.

        Raises
        ------
        DataError
            If the mask cannot be read, does not fit its image, or has another coding.
        """
        decode = CODINGS[self.coding]
        info = MaskInfo(self._classes, path.name)
        labels = np.full(grid.shape, IGNORE, dtype=np.uint8)
        odd = present = 0
        transparent = False
        with open_mask(path, grid) as file:
            for strip in file.strips():
                decoded, strange = decode(file, strip, info)
                rows = slice(strip.top, strip.top + len(decoded))
                labels[rows] = np.where(strip.present, decoded, IGNORE)
                odd += strange
                present += int(strip.present.sum())
                transparent |= file.transparent and not strip.present.all()
        if file.warped and not present:
            raise DataError(f"mask {path.name} lies elsewhere: it covers nothing of its image")
        if odd > (1 - EXPLAINED) * max(1, present):
            raise DataError(
                f"{odd / max(1, present):.0%} of mask {path.name} is of no class "
                f"({coding_text(self.coding, self._classes)}); is it coded otherwise, or is a "
                "class missing?"
            )
        equal = self.coding in ("ids", "binary255") and file.bands == 3
        # Among masks of 0 and 1, a mask of 0 and 255 has another coding or unknown pixels.
        binary = self.coding == "ids" and len(self._classes) == 2 and _is_binary(labels)
        for note, holds in (
            ("equal", equal),
            ("warped", file.warped),
            ("transparent", transparent),
            ("odd", odd > 0),
            ("binary", binary and not transparent),
        ):
            self._notes[note] += holds
        return labels

    def describe(self) -> str:
        """Return one line: the coding, and what was found in the masks read so far."""
        notes = [f"{text} (in {self._notes[n]})" for n, text in _NOTES.items() if self._notes[n]]
        return "; ".join([coding_text(self.coding, self._classes), *notes])


def _is_binary(labels: NDArray[np.uint8]) -> bool:
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)
    return bool(counts[0] and counts[IGNORE]) and int(counts[0] + counts[IGNORE]) == labels.size
