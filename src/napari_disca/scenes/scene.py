"""`Scene`: a generated aerial image with its reference map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from napari_disca.core.tiling import Window
from napari_disca.scenes.plan import World
from napari_disca.scenes.regions import ATLAS, LAND_COVER, REGIONS
from napari_disca.scenes.render import BLOCK, Picture, block


@dataclass(frozen=True, slots=True)
class Scene:
    """A generated aerial image, and its exact reference map.

    A pixel depends on the seed, the region, the ground resolution and its position, and on
    nothing else: a larger scene has the smaller one in its top-left corner, and windows are equal
    bit for bit where they overlap.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels, of any size: only requested windows are rendered.
    seed : int
        0 or more; another seed is another place.
    region : str
        One of `REGIONS`.
    ground_resolution : float
        Metres per pixel, 0.05 to 5.

    Raises
    ------
    ValueError
        If a parameter is not allowed.
    """

    shape: tuple[int, int] = (1024, 1024)
    seed: int = 0
    region: str = "temperate"
    ground_resolution: float = 0.3

    def __post_init__(self) -> None:
        if self.region not in ATLAS:
            raise ValueError(f"region {self.region!r} is unknown; there are {', '.join(REGIONS)}")
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ValueError(f"a scene needs a height and a width in pixels, not {self.shape}")
        if self.seed < 0:
            raise ValueError(f"a scene's seed is 0 or more, not {self.seed}")
        if not 0.05 <= self.ground_resolution <= 5:
            raise ValueError(
                f"a ground resolution of {self.ground_resolution} m is outside 0.05 to 5 m"
            )

    @property
    def crs(self) -> CRS:
        """The projected coordinate system of the region (a UTM zone)."""
        return CRS.from_epsg(ATLAS[self.region].epsg)

    @property
    def transform(self) -> Affine:
        """Transform from pixel corners to map coordinates, the same for all seeds of a region."""
        east, north = ATLAS[self.region].origin
        size = self.ground_resolution
        return Affine(size, 0.0, east, 0.0, -size, north)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return tuple(land.name for land in LAND_COVER)

    def image(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return the image of a window, or of the whole scene by default.

        Returns
        -------
        (height, width, 3) array of uint8
        """
        return self.render(window)[0]

    def labels(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return the reference map of a window: class ids, which `LAND_COVER` names.

        Returns
        -------
        (height, width) array of uint8
        """
        return self.render(window)[1]

    def render(self, window: Window | None = None) -> Picture:
        """Return image and reference map of a window, rendered together.

        Raises
        ------
        ValueError
            If the window leaves the scene.
        """
        whole = Window.whole(self.shape)
        window = whole if window is None else window
        if window & whole != window:
            raise ValueError(f"{window} is not inside a scene of {self.shape} pixels")
        image = np.empty((*window.shape, 3), dtype=np.uint8)
        labels = np.empty(window.shape, dtype=np.uint8)
        world = World(self.seed, self.region)
        for row, col, box in _blocks(window):
            part = box & window
            source, target = part.relative_to(box).slices, part.relative_to(window).slices
            picture, reference = block(world, self.ground_resolution, row, col)
            image[target], labels[target] = picture[source], reference[source]
        return image, labels


def _blocks(window: Window) -> Iterator[tuple[int, int, Window]]:
    """Yield the blocks that a window touches, with their windows."""
    for row in range(window.top // BLOCK, -(-window.bottom // BLOCK)):
        for col in range(window.left // BLOCK, -(-window.right // BLOCK)):
            yield row, col, Window(row * BLOCK, col * BLOCK, BLOCK, BLOCK)
