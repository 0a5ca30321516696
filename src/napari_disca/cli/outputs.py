"""Checks of output files, made before the work begins, because that may take hours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from napari_disca.core.errors import DiscaError, ExportError


def map_paths(images: Sequence[Path], output: str) -> list[Path]:
    """Return the files of the maps of images.

    Parameters
    ----------
    images : sequence of Path
    output : str
        A file. It is a folder if there are several images, if it exists as one, or if it ends with
        a slash.

    Raises
    ------
    DiscaError
        If two maps would have the same name.
    ExportError
        If a map cannot be written there.
    """
    from napari_disca.exports import exports_of, has_format

    folder = Path(output)
    slash = output.endswith(tuple(filter(None, (os.sep, os.altsep))))
    if len(images) == 1 and not slash and not folder.is_dir():
        return [checked(folder, images)]
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file; give a folder for {len(images)} maps")
    if not slash and has_format(folder, "labels") and not folder.is_dir():
        raise ExportError(f"{folder} is one file for {len(images)} maps; give a folder")
    usual = exports_of("labels")[0].suffixes[0]
    paths = [folder / f"{image.stem}_labels{usual}" for image in images]
    if len(set(paths)) < len(paths):
        raise DiscaError("two of the images have the same name; predict them into two folders")
    return [checked(path, images) for path in paths]


def checked(path: Path, inputs: Sequence[Path]) -> Path:
    """Return the path of a map if it can be written.

    Parameters
    ----------
    path : Path
    inputs : sequence of Path
        Files that are read meanwhile.

    Raises
    ------
    ExportError
        If no format has its ending, or if it is a folder, an input, or not writable.
    """
    from napari_disca.exports import check_output, export_for

    check_output(path, inputs)
    export_for(path, "labels")
    return writable(path)


def spare_sources(path: Path, image: Path) -> None:
    """Check that writing a file does not overwrite a part of an image, for instance of a VRT.

    Parameters
    ----------
    path : Path
        The file to write.
    image : Path
        An image that `open_raster` has opened, and has therefore examined.

    Raises
    ------
    ExportError
        If it does.
    """
    import rasterio
    from rasterio.errors import RasterioError

    from napari_disca.raster import quiet_opening

    if not path.exists():
        return
    try:
        with quiet_opening(), rasterio.open(image) as file:
            parts = [Path(part) for part in file.files]
    except RasterioError:  # another library reads the file, and it has no parts
        return
    if any(part.exists() and path.samefile(part) for part in parts):
        raise ExportError(f"{path} is a part of {image.name}; choose another output file")


def writable(path: Path) -> Path:
    """Return the path of a file if it can be written.

    Raises
    ------
    ExportError
        If it is a folder, or its folder is not writable.
    """
    if path.is_dir():
        raise ExportError(f"cannot write {path}: it is a folder; give the name of a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            return path
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
