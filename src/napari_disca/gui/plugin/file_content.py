"""What is read of an image file before it becomes a layer; may be read on any thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_disca.networks import LandClass
    from napari_disca.raster import Raster
    from napari_disca.raster.pyramid import ImagePyramid
    from napari_disca.storage.label_pyramid import LabelPyramid


@dataclass(frozen=True, slots=True, eq=False)
class FileContent:
    """An open file: an image, a label map of ours, or labels that our writer has saved.

    Attributes
    ----------
    path : Path
    raster : Raster
    pyramid : ImagePyramid or None
        Of an image.
    legend, canvas : sequence of LandClass, LabelPyramid; or None
        Of a label map.
    plain : tuple or None
        Values and what is known of them, of labels of another program.
    """

    path: Path
    raster: Raster
    pyramid: ImagePyramid | None = None
    legend: Sequence[LandClass] | None = None
    canvas: LabelPyramid | None = None
    plain: tuple[NDArray[Any], dict[str, Any]] | None = None

    def close(self) -> None:
        """Give the file back."""
        self.raster.close()


def read_file(path: Path) -> FileContent:
    """Open a file and read what its layer needs at once.

    Raises
    ------
    RasterError
        If it cannot be read as an image.
    """
    from napari_disca.exports import read_legend
    from napari_disca.exports.plain_labels import read_plain_labels
    from napari_disca.raster import open_raster
    from napari_disca.raster.pyramid import ImagePyramid

    raster = open_raster(path)
    try:
        legend = read_legend(path)
        if legend:
            return FileContent(path, raster, legend=legend, canvas=_label_map(raster, path))
        plain = read_plain_labels(path) if path.suffix.lower() in (".tif", ".tiff") else None
        if plain is not None:
            return FileContent(path, raster, plain=plain)
        return FileContent(path, raster, ImagePyramid(raster))
    except BaseException:
        raster.close()
        raise


def _label_map(raster: Raster, path: Path) -> LabelPyramid:
    """A saved label map: class id + 1, so that class 0 is visible and no-data is not."""
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window as RasterioWindow

    from napari_disca.core.errors import RasterError, brief
    from napari_disca.core.tiling import Tiling
    from napari_disca.raster import quiet_opening
    from napari_disca.storage.label_pyramid import LabelPyramid

    canvas = LabelPyramid(raster.shape)
    # Not through the raster, which gives a palette's colours rather than the ids.
    try:
        with quiet_opening(), rasterio.open(path) as file:
            for tile in Tiling(raster.shape, size=2048, halo=0):
                box = tile.keep
                place = RasterioWindow(box.left, box.top, box.width, box.height)
                canvas.paint(box, file.read(1, window=place))
    except RasterioError as error:
        raise RasterError(
            f"{path} is damaged or cut short: {brief(error)}; get it again"
        ) from error
    return canvas
