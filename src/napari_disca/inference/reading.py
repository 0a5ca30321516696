"""The user's choices of how an image is read; the rest follows from image and network."""

from __future__ import annotations

from dataclasses import dataclass

from napari_disca.core.errors import RasterError
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks.card import Card
from napari_disca.raster import Raster, Scaling, ValueScale
from napari_disca.raster.values.value_scale import FillChoice, fill_text


@dataclass(frozen=True, slots=True)
class Reading:
    """Choices of bands, resolution and scaling; None where the user has chosen nothing.

    Parameters
    ----------
    bands : tuple of int, optional
        Image bands (from 1), one for each of the network's.
    factor : float, optional
        Network pixels per image pixel.
    scaling : Scaling or ValueScale, optional
        How pixel values are scaled; a `ValueScale` was decided before and is used as it is.
    find_fill : bool or tuple of float
        Which fill values that the image does not declare count as no data; see `value_scale`.
    """

    bands: tuple[int, ...] | None = None
    factor: float | None = None
    scaling: Scaling | ValueScale | None = None
    find_fill: FillChoice = True

    def view(self, raster: Raster, card: Card) -> NetworkView:
        """Return the view that a network gets of an image with these choices.

        Raises
        ------
        RasterError
            If a choice does not fit the image.
        """
        return NetworkView(
            raster,
            card,
            bands=self.bands,
            factor=self.factor,
            scaling=self.scaling,
            find_fill=self.find_fill,
        )

    def describe(self) -> str:
        """Choices of bands and values as flags of the command line; empty if there are none."""
        flags = []
        if self.bands is not None:
            flags.append(f"--bands {','.join(map(str, self.bands))}")
        if isinstance(self.scaling, Scaling):
            flags.append(f"--scaling {self.scaling}")
        if self.find_fill is not True:
            flags.append(f"--fill {fill_text(self.find_fill)}")
        return " ".join(flags)

    @classmethod
    def of(cls, view: NetworkView) -> Reading:
        """Return the fewest choices that give the same view of its image again."""
        usual = _possible(cls(), view)
        bands = None if usual is not None and usual.bands == view.bands else view.bands
        found = cls(bands=bands, find_fill=view.scale.find_fill)
        again = _possible(found, view)
        if again is None or not again.scale.same_values(view.scale):
            # Decided now, the scaling would differ: by what was wanted, or else by its numbers.
            found = cls(bands, None, view.scale.wanted, view.scale.find_fill)
            again = _possible(found, view) if found.scaling is not None else None
            if again is None or not again.scale.same_values(view.scale):
                found = cls(bands, None, view.scale)
                again = _possible(found, view)
        factor = None if again is not None and again.factor == view.factor else view.factor
        return cls(found.bands, factor, found.scaling, found.find_fill)


def _possible(reading: Reading, view: NetworkView) -> NetworkView | None:
    try:
        return reading.view(view.raster, view.card)
    except RasterError:
        return None
