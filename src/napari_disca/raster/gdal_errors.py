"""What rasterio raises when GDAL fails."""

from __future__ import annotations

# rasterio lets some of GDAL's own errors through, and has no public name for them.
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

#: For `except`: rasterio's own errors, and those of GDAL that it hands through.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)
