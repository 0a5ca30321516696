"""Pixels that are not square are read as if they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from builders import write_image
from field_scene import Field
from napari_disca.gui.viewer.layers.placement import place
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster


def write(path: Path, image: NDArray[np.uint8], transform: Affine, crs: Any) -> Path:
    return write_image(path, np.moveaxis(image, -1, 0), crs=crs, transform=transform)


@pytest.mark.parametrize("crs", ["EPSG:32645", None])
@pytest.mark.parametrize("axis", [0, 1])
def test_four_to_one_agrees_with_the_stretched_image(
    tmp_path: Path, field: Field, axis: int, crs: str | None
) -> None:
    steps = (4, 1) if axis == 0 else (1, 4)  # every fourth row, or every fourth column
    image = field.image[:: steps[0], :: steps[1]]
    stretched = image.repeat(steps[0], 0).repeat(steps[1], 1)
    transform = Affine(steps[1], 0, 3e5, 0, -steps[0], 3e6)
    labels, view = field.predict(write(tmp_path / "a.tif", image, transform, crs))
    assert labels.shape == image.shape[:2]
    right = field.truth[:: steps[0], :: steps[1]]
    plain = field.predict(write(tmp_path / "b.tif", stretched, Affine(1, 0, 3e5, 0, -1, 3e6), crs))
    by_hand = plain[0][:: steps[0], :: steps[1]]
    assert view.factors[0] / view.factors[1] == pytest.approx(steps[0] / steps[1], rel=0.01)
    assert "as its pixels are not square" in view.describe()
    squashed, _ = field.predict(write(tmp_path / "c.tif", image, Affine.identity(), None))
    agreed, beside = float((labels == right).mean()), float((by_hand == right).mean())
    assert agreed > beside - 0.03
    assert agreed > float((squashed == right).mean())


def test_what_is_shown_has_the_ratio() -> None:
    transform = (4.0, 0.0, 3e5, 0.0, -1.0, 3e6)
    wkt = rasterio.crs.CRS.from_epsg(32645).to_wkt()
    down, right = place(wkt, transform, (200, 50)).keywords["scale"]
    assert right / down == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("side", [1.0, 1.2])
def test_nearly_square_is_left_as_it_is(tmp_path: Path, field: Field, side: float) -> None:
    path = write(tmp_path / "a.tif", field.image, Affine(side, 0, 3e5, 0, -1, 3e6), "EPSG:32645")
    with open_raster(path) as raster:
        view = NetworkView(raster, field.network.card)
        assert view.factors[0] == view.factors[1]
        assert "not square" not in view.describe()


def test_degrees_are_not_square_far_from_the_equator(tmp_path: Path, field: Field) -> None:
    step = 1 / 111_320
    path = write(tmp_path / "a.tif", field.image, Affine(step, 0, 20, 0, -step, 60), "EPSG:4326")
    with open_raster(path) as raster:
        view = NetworkView(raster, field.network.card)
        assert view.factors[0] / view.factors[1] == pytest.approx(2, rel=0.02)
        again = NetworkView(raster, field.network.card, factor=view.factor)
        assert again.shape == view.shape
