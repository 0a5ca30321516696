"""Image files that GDAL reads."""
