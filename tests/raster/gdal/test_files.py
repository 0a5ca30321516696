"""Images that are cut short, as an interrupted download leaves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio import shutil

from builders import write_image
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.scenes import Scene

SIDE = 300


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("driver", ["PNG", "JPEG", "BMP", "WEBP", "JP2OpenJPEG", "GTiff"])
def test_pixels_that_are_missing_are_never_made_up(
    tmp_path: Path, driver: str, share: float
) -> None:
    """Of a PNG as a whole, GDAL gave what was in memory."""
    pixels = np.moveaxis(Scene((SIDE, SIDE), seed=1, ground_resolution=1.0).image(), -1, 0)
    path = tmp_path / "cut.img"
    whole = write_image(tmp_path / "whole.tif", pixels)
    with quiet_opening():
        shutil.copy(whole, path, driver=driver)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RasterError) as caught, open_raster(path) as raster:
        raster.read(Window.whole(raster.shape))
    assert len(str(caught.value).splitlines()) == 1
