"""What is caught where GDAL may fail."""

from __future__ import annotations

import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform

from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS


def test_rasterios_and_gdals_errors_are_caught(tmp_path):
    (tmp_path / "no.tif").write_text("not a TIFF")
    with pytest.raises(GDAL_ERRORS):
        rasterio.open(tmp_path / "no.tif")
    # GDAL's own, which is none of rasterio's.
    with pytest.raises(GDAL_ERRORS) as caught:
        transform(CRS.from_wkt('LOCAL_CS["nowhere"]'), CRS.from_epsg(4326), [0.0], [0.0])
    assert not isinstance(caught.value, rasterio.errors.RasterioError)
