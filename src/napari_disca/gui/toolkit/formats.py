"""Endings of the files that napari passes to our reader."""

from __future__ import annotations

#: Formats of Earth observation that GDAL reads without network access; napari's own readers know
#: few of them, and none of their georeferences.
RASTER_SUFFIXES = (
    *(".tif", ".tiff", ".vrt", ".jp2", ".j2k", ".img", ".dat", ".gpkg", ".bil", ".bip", ".bsq"),
    *(".ers", ".ntf", ".nitf", ".kea", ".rst", ".asc", ".dem", ".pix"),
)

#: Vectors, which are laid over an image. A GeoPackage may hold images or vectors.
VECTOR_SUFFIXES = (".geojson", ".shp", ".fgb")
