"""Where the bands of a file have data: masks, alpha bands, no-data values, transparent colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from napari_disca.core.tiling import Window
from napari_disca.raster.values.masks import (
    ambiguous_nodata,
    is_alpha,
    is_premultiplied,
    looks_like_mask,
    nodata_mask,
)
from napari_disca.raster.values.sampling import lattice

#: Drivers of formats that can only be decoded from the beginning.
SEQUENTIAL = {"GIF", "JPEG", "PNG", "WEBP"}


@dataclass(frozen=True)
class FileMasks:
    """What decides where the bands of a file have data; bands count from 1, as in the file.

    Attributes
    ----------
    alphas : tuple of int
        Bands that are masks.
    masks : tuple of int
        Per band: the band whose mask is read; 0 if no-data values and alpha are enough.
    floats : tuple of int
        Bands of floats, which may hold NaN or infinity.
    notes : tuple of str
        Decisions that the user may want to know, one line each.
    """

    alphas: tuple[int, ...]
    masks: tuple[int, ...]
    floats: tuple[int, ...]
    notes: tuple[str, ...]

    def valid(
        self,
        file: Any,
        bands: Sequence[int],
        palettes: Mapping[int, NDArray[np.uint8]],
        ambiguous: Sequence[bool],
        **options: Any,
    ) -> NDArray[np.bool_]:
        """Return where all of these bands have data.

        Parameters
        ----------
        file : rasterio.io.DatasetReader
        bands : sequence of int
            Bands of the file.
        palettes : mapping of int to (n, 4) array of uint8
            Palettes of the bands that have one.
        ambiguous : sequence of bool
            Of `ambiguous_bands`.
        **options
            ``window`` and ``out_shape``, as rasterio takes them.

        Returns
        -------
        array of bool
            Of shape ``out_shape``.
        """
        bands = sorted({*bands} - {*self.alphas})
        valid = np.ones(options["out_shape"], dtype=np.bool_)
        for band in sorted({self.masks[band - 1] for band in bands} - {0}):
            valid &= file.read_masks(band, **options) > 0
        for band in self.floats:
            if band in bands:
                valid &= np.isfinite(file.read(band, **options))
        nodatas = {b: v for b in bands if (v := file.nodatavals[b - 1]) is not None}
        if nodatas:
            lost = nodata_mask(
                file.read([*nodatas], **options),
                [*nodatas.values()],
                [ambiguous[band - 1] for band in nodatas],
            )
            valid &= ~lost
        for band, palette in palettes.items():
            if band in bands and (palette[:, 3] == 0).any():
                indices = file.read(band, **options)
                valid &= palette[:, 3].take(indices, mode="clip") > 0
        for band in self.alphas:
            valid &= file.read(band, **options) > 0
        return valid

    def ambiguous_bands(self, file: Any) -> tuple[bool, ...]:
        """Return per band of the file whether its no-data value also occurs as a measurement.

        Parameters
        ----------
        file : rasterio.io.DatasetReader
        """
        nodatas = list(file.nodatavals)
        if all(value is None for value in nodatas) or self.floats:
            return (False,) * len(nodatas)
        blocks = [file.read(window=to_rasterio(window)) for window in lattice(file.shape, 6, 96)]
        return ambiguous_nodata(blocks, nodatas)


def file_masks(file: Any) -> FileMasks:
    """Return the bands of an open file that are masks, and the mask of each band.

    Parameters
    ----------
    file : rasterio.io.DatasetReader
    """
    masks = [
        0
        if {MaskFlags.all_valid, MaskFlags.alpha} & {*flag} or flag == [MaskFlags.nodata]
        else (1 if MaskFlags.per_dataset in flag else band)
        for band, flag in enumerate(file.mask_flag_enums, start=1)
    ]
    alphas, notes = [], []
    tagged = [b for b, i in enumerate(file.colorinterp, start=1) if i == ColorInterp.alpha]
    for band in tagged:
        # In these formats a fourth band is always alpha.
        glance = _glance(file, band)
        if file.driver in SEQUENTIAL or is_alpha(glance):
            alphas.append(band)
        elif is_premultiplied(
            glance, np.array([_glance(file, b) for b in range(1, file.count + 1) if b != band])
        ):
            alphas.append(band)
            notes.append(f"colours are multiplied by the alpha of band {band}: darker at its edges")
        else:
            notes.append(f"band {band} is called alpha but has many grey levels: read as a band")
    last = file.count
    unnamed = not file.descriptions[-1] and file.colorinterp[-1] == ColorInterp.undefined
    if not tagged and last in (2, 4, 5) and unnamed and looks_like_mask(_glance(file, last)):
        alphas.append(last)
        notes.append(f"band {last} is 0 or one other value everywhere: read as a mask")
    floats = [b for b, kind in enumerate(file.dtypes, start=1) if "float" in kind]
    return FileMasks(tuple(alphas), tuple(masks), tuple(floats), tuple(notes))


def to_rasterio(window: Window) -> rasterio.windows.Window:
    """Return a window as rasterio's type."""
    return rasterio.windows.Window(window.left, window.top, window.width, window.height)


def _glance(file: Any, band: int) -> NDArray[Any]:
    """A few hundred to a few thousand values of a band, read without decoding much of the file."""
    windows = lattice(file.shape, 5, 64)
    return np.concatenate(
        [np.asarray(file.read(band, window=to_rasterio(window))).ravel() for window in windows]
    )
