"""What rasterio raises when GDAL fails, and what GDAL said."""

from __future__ import annotations

# rasterio lets some of GDAL's own errors through, and has no public name for them.
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

#: For `except`: rasterio's own errors, and those of GDAL that it hands through.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)


def reason(error: BaseException) -> str:
    """What GDAL said first, as one line: the cause says more than "Read failed"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
