"""Small cards, networks, pictures, image files and tiles for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray

from napari_disca.annotations.guidance import Guidance
from napari_disca.networks import ARCHITECTURES, Card, LandClass, Network, build_network
from napari_disca.raster import quiet_opening

#: Half a metre in UTM, for images that have to lie somewhere.
PLACE = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 5e5, 0, -0.5, 5e6)}
COLOURS = ("#d73027", "#fee090", "#7570b3", "#1b9e3e", "#2c7fb8")


def make_card(count: int = 3, **changes: Any) -> Card:
    """Card of a small network."""
    fields: dict[str, Any] = {
        "name": "for-tests",
        "architecture": "linknet",
        "classes": tuple(LandClass(f"class {i}", COLOURS[i]) for i in range(count)),
        "guidance": Guidance("cone", radius=12),
        "mean": (0.4, 0.4, 0.4),
        "std": (0.25, 0.25, 0.25),
    }
    return Card(**(fields | changes))


def make_network(card: Card | None = None, seed: int = 0) -> Network:
    """Untrained network with lively BatchNorm statistics, the same for the same seed."""
    torch.manual_seed(seed)
    network = build_network(card or make_card())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


class Tiny(Network):
    """A network of some hundred weights, for tests that ask a network thousands of times."""

    multiple = 4

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        classes = len(card.classes)
        self.first = torch.nn.Conv2d(len(card.bands) + classes, 8, 5, padding=2)
        self.norm = torch.nn.BatchNorm2d(8)
        self.last = torch.nn.Conv2d(8, classes, 3, padding=1)

    def encode(self, image, guidance):
        return (torch.relu(self.norm(self.first(torch.cat([image, guidance], dim=1)))),)

    def decode(self, features):
        return self.last(features[0])


def make_tiny_network(seed: int = 0) -> Network:
    """Network of the architecture ``"tiny"``, which is known from then on."""
    ARCHITECTURES["tiny"] = Tiny
    return make_network(make_card(architecture="tiny"), seed)


def picture_of(rows: int, cols: int, seed: int = 5) -> NDArray[np.uint8]:
    """Coloured blocks of 8 x 8 pixels, as many as rows and columns say: ``(h, w, 3)``."""
    colours = np.random.default_rng(seed).integers(0, 255, (rows, cols, 3))
    return np.kron(colours, np.ones((8, 8, 1))).astype(np.uint8)


def write_image(
    path: Path,
    pixels: NDArray[Any],
    *,
    names: Sequence[str] = (),
    palette: Mapping[int, tuple[int, ...]] | None = None,
    mask: NDArray[Any] | None = None,
    colorinterp: Sequence[Any] = (),
    **profile: Any,
) -> Path:
    """Write ``(bands, h, w)`` or ``(h, w)`` pixels as a GeoTIFF, or what `driver` says.

    It lies nowhere unless the profile says where, for instance with ``**PLACE``. `names` describe
    the bands; a `mask` lies in the file.
    """
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    count, height, width = pixels.shape
    size = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with (
        quiet_opening(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **({"driver": "GTiff"} | size | profile)) as file,
    ):
        file.write(pixels)
        for band, name in enumerate(names, start=1):
            if name:
                file.set_band_description(band, name)
        if palette:
            file.write_colormap(1, palette)
        if colorinterp:
            file.colorinterp = colorinterp
        if mask is not None:
            file.write_mask(mask)
    return path


def set_tiles(monkeypatch: pytest.MonkeyPatch, size: int, halo: int) -> None:
    """Cut images into small tiles, so that a small image has several."""
    monkeypatch.setattr("napari_disca.inference.tiles.TILE_SIZE", size)
    monkeypatch.setattr("napari_disca.inference.tiles.TILE_HALO", halo)
