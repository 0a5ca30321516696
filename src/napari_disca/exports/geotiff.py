"""Writes label maps as GeoTIFF on the image's grid, with colours and class names.

The TIFF has a colour table and the names as metadata, ``CLASS_0=building``. GDAL's category names
have no place in a TIFF; they are in the side-car file ``NAME.tif.aux.xml`` with an attribute table,
where GDAL, QGIS and ArcGIS read them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import rasterio
import rasterio.windows
import tifffile
from rasterio.enums import Resampling

from napari_disca.core.errors import CardError, ExportError, RasterError, is_unicode
from napari_disca.core.events import Event, Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.exports.labels import ChangingLabels, GrowingLabels, Labels
from napari_disca.raster import Raster, quiet_opening
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS
from napari_disca.storage.atomic import replacing
from napari_disca.storage.label_pyramid import NO_DATA

if TYPE_CHECKING:
    # `networks` costs torch, which a reader of label maps should not pay for.
    from napari_disca.networks.card import LandClass

_BLOCK = 512
#: Pixels. Images with longer sides get overviews, because a GIS would read the whole file to show
#: it zoomed out.
_OVERVIEWS_ABOVE = 4096
#: Bytes of GDAL's cache while it builds overviews, for which it reads every block once. Its default
#: is 5 % of the machine's memory.
_CACHE = 32 << 20
_TAG = "CLASS_{}"
_MADE_WITH = "NAPARI_DISCA_MADE_WITH"
# GDAL's GDALRATFieldType and GDALRATFieldUsage: integer 0, string 2; value 5, name 2, red 6 ...
_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))


def write_geotiff(
    labels: Labels,
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
    made_with: str = "",
) -> Job[Path]:
    """Return a job that writes a label map as a tiled, compressed GeoTIFF with a colour table.

    The map is written as it is when this function is called; later painting does not change it.

    Files appear under their names when they are complete; a job that is closed earlier leaves no
    files. Files of overviews of an earlier map beside `path` are removed, because a GIS would show
    them.

    Parameters
    ----------
    labels : Labels
        Class ids on the image's grid, 255 where there is no data. `GrowingLabels` are computed on
        the way, and yield their own progress.
    path : str or path
        The side-car file with the class names is ``path`` + ``.aux.xml``.
    raster : Raster
        The image. Its CRS and transform, or its ground control points, and its RPCs are written.
    classes : sequence of LandClass
        Class ``i`` is the map's value ``i``. A class that equals an earlier one is merged with it
        and does not appear in the legend.
    made_with : str
        Fingerprint of everything that the map depends on, for `read_made_with`.

    Yields
    ------
    Progress
        Stages ``"saving"`` and, in large files, ``"overviews"``.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the file cannot be written, is the image itself, or the labels do not fit.
    """
    still = labels.snapshot() if isinstance(labels, ChangingLabels) else labels
    return _written(still, Path(path), raster, classes, made_with)


def _written(
    labels: Labels, path: Path, raster: Raster, classes: Sequence[LandClass], made_with: str
) -> Job[Path]:
    _check_request(labels, path, raster, classes)
    side_car = path.with_name(path.name + ".aux.xml")
    # The TIFF is renamed first: should that fail, the old names stay with the old map.
    with replacing(side_car) as names, replacing(path) as image:
        # GDAL writes here, when it closes the file, what a TIFF cannot store, such as some CRS.
        from_gdal = image.with_name(image.name + ".aux.xml")
        try:
            with _gdal_errors(path, image):
                yield from _write_image(labels, image, raster, classes, made_with)
                _check_complete(image, path)
                yield from _add_overviews(image, path, raster.shape)
            names.write_bytes(_side_car(classes, from_gdal))
        finally:
            with suppress(OSError):
                from_gdal.unlink(missing_ok=True)
    for stale in (".ovr", ".msk"):
        with suppress(OSError):
            path.with_name(path.name + stale).unlink(missing_ok=True)
    return path


def read_map_classes(path: str | os.PathLike[str]) -> tuple[LandClass, ...]:
    """Return the classes of a label map that `write_geotiff` wrote.

    Returns
    -------
    tuple of LandClass
        Names and colours; empty if the file is another image.

    Raises
    ------
    RasterError
        If the file cannot be opened.
    """
    try:
        with quiet_opening(), closing(rasterio.open(path)) as file:
            if file.count != 1 or file.dtypes != ("uint8",) or _TAG.format(0) not in file.tags():
                return ()
            tags, colours = file.tags(), file.colormap(1)
    except ValueError:
        return ()  # no colour table
    except GDAL_ERRORS as error:
        raise RasterError(f"cannot open {path}: {_line(error)}") from error
    from napari_disca.networks.card import LandClass

    names: list[str] = []
    while (name := tags.get(_TAG.format(len(names)))) is not None:
        names.append(name)
    try:
        return tuple(
            LandClass(name, "#{:02x}{:02x}{:02x}".format(*colours[i][:3]))
            for i, name in enumerate(names)
        )
    except (CardError, KeyError):
        return ()


def read_made_with(path: str | os.PathLike[str]) -> str:
    """Return the fingerprint that `write_geotiff` stored; empty if none or if incomplete."""
    try:
        with quiet_opening(), closing(rasterio.open(path)) as file:
            made_with = str(file.tags().get(_MADE_WITH, ""))
            overviews = len(file.overviews(1))
        if made_with:
            _check_complete(Path(path), Path(path), overviews)
    except (*GDAL_ERRORS, OSError):
        return ""
    return made_with


def check_output(path: Path, inputs: Sequence[Path]) -> None:
    """Raise an error if a file cannot be written under a name, or would overwrite an input.

    Parameters
    ----------
    path : Path
        The file to write.
    inputs : sequence of Path
        Files that are read meanwhile.

    Raises
    ------
    ExportError
        If `path` is a folder, its name is not Unicode, or it is one of the inputs.
    """
    if path.is_dir():
        raise ExportError(f"{path} is a folder; give the name of a file")
    if not is_unicode(path):
        raise ExportError(f"GDAL cannot write {path}, whose name is not Unicode; give another name")
    for image in inputs:
        if path.exists() and image.exists() and path.samefile(image):
            raise ExportError(f"{path} is the image itself; choose another output file")


def _check_request(
    labels: Labels, path: Path, raster: Raster, classes: Sequence[LandClass]
) -> None:
    if labels.shape != raster.shape:
        raise ExportError(
            f"the labels are {labels.shape[0]} x {labels.shape[1]} pixels but the image is "
            f"{raster.shape[0]} x {raster.shape[1]}; save them with the image they were made on"
        )
    if not 1 <= len(classes) <= NO_DATA:
        raise ExportError(f"a label map can have 1 to {NO_DATA} classes, not {len(classes)}")
    check_output(path, [raster.path] if raster.path is not None else [])


def _write_image(
    labels: Labels, image: Path, raster: Raster, classes: Sequence[LandClass], made_with: str
) -> Iterator[Event]:
    windows = _blocks(raster.shape)
    growing = labels if isinstance(labels, GrowingLabels) else None
    with closing(_created(image, raster)) as file:
        # Before the pixels, so that GDAL does not write the directory of the TIFF twice.
        file.write_colormap(1, {i: (*c.rgb, 255) for i, c in enumerate(classes)})
        file.set_band_description(1, "land cover")
        file.update_tags(
            TIFFTAG_SOFTWARE="napari-disca",
            **{_TAG.format(i): _printable(c.name) for i, c in enumerate(classes)},
            **({_MADE_WITH: made_with} if made_with else {}),
        )
        for done, window in enumerate(windows):
            if growing is None:
                yield Progress("saving", done, len(windows))
            else:
                yield from growing.grow(window.bottom)
            block = labels.read(window)
            unknown = block[(block >= len(classes)) & (block != NO_DATA)]
            if unknown.size:
                raise ExportError(
                    f"the labels contain class {unknown[0]}, but there are only the classes 0 to "
                    f"{len(classes) - 1}; save them with the classes they were made with"
                )
            place = rasterio.windows.Window(window.left, window.top, window.width, window.height)
            file.write(block, 1, window=place)
        if growing is None:
            yield Progress("saving", len(windows), len(windows))


def _add_overviews(image: Path, path: Path, shape: tuple[int, int]) -> Iterator[Progress]:
    factors = _overview_factors(shape)
    # GDAL crashes if the disk becomes full while it adds overviews.
    if not factors or shutil.disk_usage(image.parent).free < shape[0] * shape[1] // 2:
        return
    with quiet_opening():
        opened = rasterio.open(image, "r+")
    with closing(opened) as file:
        for done, factor in enumerate(factors):
            yield Progress("overviews", done, len(factors))
            with rasterio.Env(GDAL_CACHEMAX=_CACHE):
                file.build_overviews([factor], Resampling.nearest)
    yield Progress("overviews", len(factors), len(factors))
    _check_complete(image, path, overviews=len(factors))


def _created(image: Path, raster: Raster) -> Any:
    where: dict[str, Any] = {}
    if raster.transform is not None:
        where = {"transform": raster.transform, "crs": raster.crs}
    elif raster.gcps is not None:
        where = dict(zip(("gcps", "crs"), raster.gcps, strict=True))
    if raster.rpcs is not None:
        where["rpcs"] = raster.rpcs
    with quiet_opening():
        return rasterio.open(
            image,
            "w",
            driver="GTiff",
            height=raster.shape[0],
            width=raster.shape[1],
            count=1,
            dtype="uint8",
            nodata=NO_DATA,
            photometric="palette",
            tiled=True,
            blockxsize=_BLOCK,
            blockysize=_BLOCK,
            compress="deflate",
            bigtiff="if_safer",
            **where,
        )


def _blocks(shape: tuple[int, int]) -> list[Window]:
    """Return the blocks of the file, so that each is compressed once."""
    whole = Window.whole(shape)
    return [
        Window(top, left, _BLOCK, _BLOCK) & whole
        for top in range(0, shape[0], _BLOCK)
        for left in range(0, shape[1], _BLOCK)
    ]


def _overview_factors(shape: tuple[int, int]) -> list[int]:
    if max(shape) <= _OVERVIEWS_ABOVE:
        return []
    return [1 << k for k in range(1, 32) if max(shape) >> k > _BLOCK // 2]


def _check_complete(image: Path, path: Path, overviews: int = 0) -> None:
    """Raise an error unless every block is in the file.

    GDAL reports no error if the disk is full when it writes its cache on closing the file.
    """
    size = image.stat().st_size
    try:
        with tifffile.TiffFile(image) as file:
            complete = len(file.pages) == 1 + overviews and all(
                count > 0 and offset + count <= size
                for page in file.pages
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            )
    except (tifffile.TiffFileError, ValueError, IndexError, TypeError):
        complete = False
    if not complete:
        raise ExportError(f"cannot write {path}: the file is not complete; is the disk full?")


def _side_car(classes: Sequence[LandClass], from_gdal: Path) -> bytes:
    """Return GDAL's "persistent auxiliary metadata": category names and an attribute table."""
    if from_gdal.exists():
        root = ElementTree.parse(from_gdal).getroot()
    else:
        root = ElementTree.Element("PAMDataset")
    band = root.find("PAMRasterBand")
    if band is None:
        band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    categories = ElementTree.SubElement(band, "CategoryNames")
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        for key, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ElementTree.SubElement(column, key).text = str(value)
    rows = 0
    for index, land in enumerate(classes):
        # A merged class is not in the map, and would appear twice in a legend.
        merged = land in classes[:index]
        name = "" if merged else _printable(land.name)
        ElementTree.SubElement(categories, "Category").text = name
        if merged:
            continue
        row = ElementTree.SubElement(table, "Row", index=str(rows))
        rows += 1
        for cell in (index, name, *land.rgb):
            ElementTree.SubElement(row, "F").text = str(cell)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8")
    return text


def _printable(name: str) -> str:
    """Return a name without control characters, which XML cannot store."""
    return "".join(c if c.isprintable() else " " for c in name).strip()


def _line(error: BaseException) -> str:
    """Return GDAL's message on one line; rasterio's own often only refers to it."""
    return " ".join(str(error.__cause__ or error).split())


@contextmanager
def _gdal_errors(path: Path, image: Path) -> Iterator[None]:
    try:
        yield
    except GDAL_ERRORS as error:
        reason = _line(error).replace(str(image), str(path)).replace(image.name, path.name)
        raise ExportError(f"cannot write {path}: {reason}") from error
