"""Where results go, looked at before the work begins rather than after hours of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from napari_disca.core.errors import DiscaError, ExportError


def map_paths(images: Sequence[Path], output: str) -> list[Path]:
    """Return a file for the map of every image.

    Parameters
    ----------
    images : sequence of Path
    output : str
        A file; for several images, or where it exists or ends with a slash, a folder.

    Raises
    ------
    DiscaError
        If two maps would have one name.
    ExportError
        If a map cannot be written there.
    """
    from napari_disca.exports import exports_of

    suffixes = [suffix for export in exports_of("labels") for suffix in export.suffixes]
    folder = Path(output)
    slash = output.endswith(tuple(filter(None, (os.sep, os.altsep))))
    if len(images) == 1 and not slash and not folder.is_dir():
        return [checked(folder, images)]
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file; name a folder for {len(images)} maps")
    if not slash and folder.suffix.lower() in suffixes and not folder.is_dir():
        raise ExportError(f"{folder} is one file for {len(images)} maps; name a folder")
    paths = [folder / f"{image.stem}_labels{suffixes[0]}" for image in images]
    if len(set(paths)) < len(paths):
        raise DiscaError("two of the images have the same name; predict them into two folders")
    return [checked(path, images) for path in paths]


def checked(path: Path, inputs: Sequence[Path]) -> Path:
    """Return the path of a map that can be written without harm.

    Raises
    ------
    ExportError
        If its name asks for no format, it is a folder or an input, or cannot be written.
    """
    from napari_disca.exports import check_output, export_for

    check_output(path, inputs)
    export_for(path, "labels")
    return writable(path)


def spare_sources(path: Path, image: Path) -> None:
    """Refuse to write over a file that an image is put together from (a VRT's parts).

    Parameters
    ----------
    path : Path
    image : Path
        One that `open_raster` has opened, and so found harmless.

    Raises
    ------
    ExportError
    """
    import rasterio
    from rasterio.errors import RasterioError

    from napari_disca.raster import quiet_opening

    if not path.exists():
        return
    try:
        with quiet_opening(), rasterio.open(image) as file:
            parts = [Path(part) for part in file.files]
    except RasterioError:  # what GDAL cannot open has no parts
        return
    if any(part.exists() and path.samefile(part) for part in parts):
        raise ExportError(f"{path} is a part of {image.name}; choose another output file")


def writable(path: Path) -> Path:
    """Return the path of a file that can be made.

    Raises
    ------
    ExportError
        If it is a folder itself, or the one that will hold it refuses.
    """
    if path.is_dir():
        raise ExportError(f"cannot write {path}: it is a folder; give a file in it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            return path
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
