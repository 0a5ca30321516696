"""Exceptions that rasterio raises when GDAL fails, and GDAL's messages in them."""

from __future__ import annotations

# rasterio lets some of GDAL's own errors through, for which it has no public name.
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

#: For `except`: rasterio's own errors, and those of GDAL that it lets through.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)


def reason(error: BaseException) -> str:
    """Return GDAL's first message as one line: the cause tells more than "Read failed"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
