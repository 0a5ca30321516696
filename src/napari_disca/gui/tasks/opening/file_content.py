"""Reads image files before they become layers; for any thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_disca.gui.viewer.layers.placement import World
    from napari_disca.networks import LandClass
    from napari_disca.raster import Raster
    from napari_disca.raster.pyramid import ImagePyramid
    from napari_disca.storage.label_pyramid import LabelPyramid


#: Largest error, in pixels, up to which an image of another CRS is placed without resampling.
_RIGHT = 0.5


#: Value of the label pyramid where there is no class.
_NO_CLASS = 255


@dataclass(frozen=True, slots=True, eq=False)
class FileContent:
    """An open file: an image, a label map of this plugin, or other labels that our writer saved.

    Attributes
    ----------
    path : Path
    raster : Raster
    pyramid : ImagePyramid or None
        Of an image.
    classes, labels : sequence of LandClass, LabelPyramid; or None
        Of a label map.
    plain : tuple or None
        Values and metadata of other labels.
    warped : bool
        Whether it is resampled into the CRS of the images that are open already.
    """

    path: Path
    raster: Raster
    pyramid: ImagePyramid | None = None
    classes: Sequence[LandClass] | None = None
    labels: LabelPyramid | None = None
    plain: tuple[NDArray[Any], dict[str, Any]] | None = None
    warped: bool = False

    def close(self) -> None:
        """Close the file."""
        self.raster.close()


def read_file(path: Path, world: World | None = None) -> FileContent:
    """Return an open file with what its layer needs at once.

    Parameters
    ----------
    path : Path
    world : World, optional
        Of the images that are open already. An image in another CRS is resampled while it is
        viewed, if it could not be placed among them otherwise.

    Raises
    ------
    RasterError
        If it cannot be read as an image.
    """
    from napari_disca.exports import read_map_classes
    from napari_disca.exports.plain_labels import read_plain_labels
    from napari_disca.raster import open_raster
    from napari_disca.raster.pyramid import ImagePyramid

    raster = open_raster(path)
    try:
        classes = read_map_classes(path)
        if classes:
            found = _among(raster, path, world, categorical=True)
            warped, raster = found is not raster, found
            labels = _label_map(raster, path, warped)
            return FileContent(path, raster, classes=classes, labels=labels, warped=warped)
        plain = read_plain_labels(path) if path.suffix.lower() in (".tif", ".tiff") else None
        if plain is not None:
            return FileContent(path, raster, plain=plain)
        found = _among(raster, path, world, categorical=False)
        warped, raster = found is not raster, found
        return FileContent(path, raster, ImagePyramid(raster), warped=warped)
    except BaseException:
        raster.close()
        raise


def holds_vectors(path: Path) -> bool:
    """Whether a file is a GeoPackage with vectors and no image.

    False for a damaged one, which is then refused as an image.
    """
    import sqlite3
    from contextlib import closing

    if path.suffix.lower() != ".gpkg":
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            found = {kind for (kind,) in file.execute("SELECT data_type FROM gpkg_contents")}
    except (sqlite3.Error, ValueError):
        return False
    return "features" in found and not found & {"tiles", "2d-gridded-coverage"}


def _among(raster: Raster, path: Path, world: World | None, *, categorical: bool) -> Raster:
    """Return the image, or the image resampled into the CRS of the others if it must be."""
    from rasterio.crs import CRS

    from napari_disca.gui.viewer.layers.placement import place
    from napari_disca.raster import GeoRaster
    from napari_disca.raster.gdal.warped import WarpedRaster
    from napari_disca.raster.georeference import Frame

    # GDAL can resample files, but not pages and decoded arrays.
    if world is None or type(raster) is not GeoRaster:
        return raster
    frame = Frame.of(raster)
    crs = frame.crs.to_wkt() if frame.crs else None
    if place(crs, frame.transform, raster.shape, world).error <= _RIGHT:
        return raster
    warped = WarpedRaster(path, CRS.from_wkt(world.crs), categorical)
    raster.close()
    return warped


def _label_map(raster: Raster, path: Path, warped: bool) -> LabelPyramid:
    """Return a saved label map as class id + 1, so that class 0 is visible and no data is not."""
    from napari_disca.core.tiling import Tiling
    from napari_disca.raster import GeoRaster
    from napari_disca.storage.label_pyramid import LabelPyramid

    raster = raster if isinstance(raster, GeoRaster) else GeoRaster(path)
    labels = LabelPyramid(raster.shape)
    # Not with `read`, which returns a palette's colours, not the ids.
    for tile in Tiling(raster.shape, size=2048, halo=0):
        ids = raster.stored(tile.keep)
        if warped:
            ids[~raster.valid(tile.keep)] = _NO_CLASS
        labels.paint(tile.keep, ids)
    return labels
