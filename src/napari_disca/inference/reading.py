"""How somebody wants an image to be read; the rest is left to the image and the network."""

from __future__ import annotations

from dataclasses import dataclass

from napari_disca.core.errors import RasterError
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks.card import Card
from napari_disca.raster import Raster, Scaling, ValueScale
from napari_disca.raster.value_scale import FillChoice, fill_text


@dataclass(frozen=True, slots=True)
class Reading:
    """What was chosen by hand of how an image is read.

    Parameters
    ----------
    bands : tuple of int, optional
        Image bands (from 1), one for each of the network's.
    factor : float, optional
        Network pixels per image pixel.
    scaling : Scaling or ValueScale, optional
        How pixel values are scaled; a `ValueScale` is one that was decided before.
    find_fill : bool or tuple of float
        Leave out fill values that the image does not declare, or these.
    """

    bands: tuple[int, ...] | None = None
    factor: float | None = None
    scaling: Scaling | ValueScale | None = None
    find_fill: FillChoice = True

    def view(self, raster: Raster, card: Card) -> NetworkView:
        """What a network reads of an image.

        Raises
        ------
        RasterError
            If that is impossible for this image.
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
        """What was chosen of bands and values, as flags of the command line; empty if nothing."""
        told = []
        if self.bands is not None:
            told.append(f"--bands {','.join(map(str, self.bands))}")
        if isinstance(self.scaling, Scaling):
            told.append(f"--scaling {self.scaling}")
        if self.find_fill is not True:
            told.append(f"--fill {fill_text(self.find_fill)}")
        return " ".join(told)

    @classmethod
    def of(cls, view: NetworkView) -> Reading:
        """What has to be chosen by hand to get a view, and no more than that."""
        usual = _possible(cls(), view)
        bands = None if usual is not None and usual.bands == view.bands else view.bands
        found = cls(bands=bands, find_fill=view.scale.find_fill)
        told = _possible(found, view)
        if told is None or not told.scale.same_values(view.scale):
            # Decided from something else: in other words, on another day, of another image.
            found = cls(bands, None, view.scale.wanted, view.scale.find_fill)
            told = _possible(found, view) if found.scaling is not None else None
            if told is None or not told.scale.same_values(view.scale):
                found = cls(bands, None, view.scale)
                told = _possible(found, view)
        factor = None if told is not None and told.factor == view.factor else view.factor
        return cls(found.bands, factor, found.scaling, found.find_fill)


def _possible(reading: Reading, view: NetworkView) -> NetworkView | None:
    try:
        return reading.view(view.raster, view.card)
    except RasterError:
        return None
