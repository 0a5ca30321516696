"""Image files, read by GDAL."""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.bands import band_kinds, band_names, band_texts, foreign_names
from napari_disca.raster.base import RasterBase, inside
from napari_disca.raster.gdal_errors import GDAL_ERRORS
from napari_disca.raster.identity import fingerprint, known_fingerprint
from napari_disca.raster.masks import also_measured, is_alpha, lacking, looks_like_mask
from napari_disca.raster.sampling import lattice
from napari_disca.raster.signature import Signature, signature

#: GDAL's defaults would let a VRT that came by mail fetch its pixels from the network, and would
#: read a PNG that is cut short as whatever was in memory.
GDAL_OPTIONS = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}", "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
#: Bytes of decoded blocks that GDAL keeps; its default is 5 % of the memory. (rasterio hands on
#: bytes; GDAL itself would take a small number for megabytes.)
CACHE = 128 << 20
_NETWORK_DRIVERS = {"DAAS", "EEDA", "EEDAI", "GTI", "HTTP", "NGW", "OGCAPI", "PLMOSAIC"} | {
    *("PostGISRaster", "STACIT", "STACTA", "TileDB", "WCS", "WMS", "WMTS")
}
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://|/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)", re.I)
_VRT_SOURCE = re.compile(rb"<Source(?:Filename|Dataset)[^>]*>\s*([^<]+)", re.I)
#: A cube of spectra has hundreds of bands; what has far more is damaged or no image, and looking
#: at each band would take for ever.
_MOST_BANDS = 4096
#: Drivers of formats that can only be decoded from the start.
_SEQUENTIAL = {"GIF", "JPEG", "PNG", "WEBP"}

# What GDAL has to say arrives in exceptions; logging's last resort would print it a second time.
logging.getLogger("rasterio").addHandler(logging.NullHandler())

# `warnings.catch_warnings` swaps a process-wide list: one opening at a time. A thread that opens a
# file while it opens another must not wait for itself.
_opening = threading.RLock()


@contextmanager
def quiet_opening() -> Iterator[None]:
    """Open a file of rasterio's without its warning: an image without georeference is fine."""
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


class GdalError(RasterError):
    """GDAL cannot make an image of a file; another reader may."""


class GeoRaster(RasterBase):
    """An image file read by GDAL.

    Every thread that reads at the same time gets a handle of its own, so a viewer never waits
    for a prediction.

    Parameters
    ----------
    path : Path
        A file on this computer.
    cache : int
        Bytes of decoded blocks that GDAL keeps, of all files together, from now on.
    page : int, optional
        Of a TIFF file, from 1; by default what GDAL shows.

    Raises
    ------
    RasterError
        If GDAL cannot open it or its pixels are complex numbers.
    """

    def __init__(self, path: Path, cache: int = CACHE, page: int | None = None) -> None:
        self.path: Path | None = path
        self.name = path.name
        self._file = path
        self._cache, self._page = cache, page
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False
        _refuse_remote_sources(path)
        self._signature = _signed(path)
        with self._handle() as file:
            self._describe(file)

    def _describe(self, file: Any) -> None:
        if file.count < 1:
            hint = "; it holds several images, export one of them" if file.subdatasets else ""
            raise GdalError(f"{self._file} has no bands{hint}")
        if file.count > _MOST_BANDS:
            raise RasterError(
                f"{self._file} has {file.count} bands; {_MOST_BANDS} are the most, "
                "export those that are needed"
            )
        types = [np.dtype(name) for name in _numpy_types(file.dtypes)]
        if any(kind.kind not in "uif" for kind in types):
            raise RasterError(
                f"{self._file} has pixels of type {file.dtypes[0]}; "
                "save it as integers or real numbers (for radar: its amplitude)"
            )
        self.shape: tuple[int, int] = (file.height, file.width)
        self._describe_masks(file)
        # One logical band is a band of the file, or a colour of its palette.
        self._sources: list[tuple[int, int | None]] = []
        self._palettes: dict[int, NDArray[np.uint8]] = {}
        names: list[str] = []
        said = band_kinds(file.descriptions, [file.tags(b) for b in range(1, file.count + 1)])
        kinds = band_names(said, [interp.name for interp in file.colorinterp])
        for band, interp in enumerate(file.colorinterp, start=1):
            if interp == ColorInterp.palette and types[band - 1].kind == "u":
                self._palettes[band] = _palette(file.colormap(band))
                self._sources += [(band, 0), (band, 1), (band, 2)]
                names += ["red", "green", "blue"]
                types[band - 1] = np.dtype(np.uint8)
            else:
                self._sources.append((band, None))
                is_alpha_band = band in self._alphas
                names.append("alpha" if is_alpha_band else kinds[band - 1])
        self.color_interp: tuple[str, ...] = tuple(names)
        self.notes += foreign_names(file.descriptions, names)
        self.count = len(names)
        self.dtype: np.dtype[Any] = np.result_type(*types)
        self.nodata: float | None = file.nodata
        self.nodatas: tuple[float | None, ...] = tuple(
            file.nodatavals[band - 1] if colour is None else None for band, colour in self._sources
        )
        points, points_crs = file.gcps
        self.gcps: tuple[list[Any], CRS | None] | None = (points, points_crs) if points else None
        self.rpcs: Any = file.rpcs
        self.crs: CRS | None = file.crs or None
        transform = file.transform
        placed = not transform.is_identity or (self.crs is not None and self.gcps is None)
        self.transform: Affine | None = (
            transform
            if placed and np.isfinite(transform.determinant) and transform.determinant
            else None
        )
        self._describe_values(file)
        #: Whether a window near the end costs as much as all that comes before it.
        self.sequential: bool = file.driver in _SEQUENTIAL
        #: Full-size images in the file; GDAL shows the first.
        self.pages: int = max(1, len(file.subdatasets))
        #: What the program that wrote a TIFF file says of it.
        self.description: str = file.tags().get("TIFFTAG_IMAGEDESCRIPTION", "")
        self._floats = [b for b, kind in enumerate(file.dtypes, start=1) if "float" in kind]

    def _describe_masks(self, file: Any) -> None:
        """Which bands are masks, and which band's mask tells of each band."""
        self.notes: tuple[str, ...] = ()
        self._alphas: list[int] = []
        flags = file.mask_flag_enums
        #: Per band of the file: whose mask to read; 0 where no-data values and alpha say all.
        self._masks = [
            0
            if {MaskFlags.all_valid, MaskFlags.alpha} & {*flag} or flag == [MaskFlags.nodata]
            else (1 if MaskFlags.per_dataset in flag else band)
            for band, flag in enumerate(flags, start=1)
        ]
        tagged = [b for b, i in enumerate(file.colorinterp, start=1) if i == ColorInterp.alpha]
        for band in tagged:
            # These formats have no other fourth band than alpha.
            if file.driver in _SEQUENTIAL or is_alpha(_glance(file, band)):
                self._alphas.append(band)
            else:
                self.notes += (
                    f"band {band} is called alpha but has many grey levels: read as a band",
                )
        last = file.count
        unnamed = not file.descriptions[-1] and file.colorinterp[-1] == ColorInterp.undefined
        if not tagged and last in (2, 4, 5) and unnamed and looks_like_mask(_glance(file, last)):
            self._alphas.append(last)
            self.notes += (f"band {last} is 0 or one other value everywhere: read as a mask",)

    def _describe_values(self, file: Any) -> None:
        """What bands are called and values mean: scale and offset, used bits, white as 0."""
        texts = band_texts(file.descriptions, [file.tags(b) for b in range(1, file.count + 1)])
        self.descriptions: tuple[str, ...] = tuple(
            texts[band - 1] if colour is None else "" for band, colour in self._sources
        )
        pairs = [
            (file.scales[band - 1], file.offsets[band - 1]) if colour is None else (1.0, 0.0)
            for band, colour in self._sources
        ]
        # A scale of 0 would make all pixels equal: some programs write it for "not set".
        pairs = [(s, o) if np.isfinite((s, o)).all() and s != 0 else (1.0, 0.0) for s, o in pairs]
        self.scales = tuple(float(scale) for scale, _ in pairs)
        self.offsets = tuple(float(offset) for _, offset in pairs)
        tags = [file.tags(band, ns="IMAGE_STRUCTURE") for band in range(1, file.count + 1)]
        used = [int(t["NBITS"]) for t in tags if t.get("NBITS", "").isdigit()]
        self.bits = max(used) if len(used) == file.count else 8 * self.dtype.itemsize
        structure = file.tags(ns="IMAGE_STRUCTURE")
        #: What the values are taken from where 0 is white; signed and real numbers have no top.
        self._white: int | None = None
        if structure.get("MINISWHITE") == "YES" and not self._palettes:
            top = 2 ** min(self.bits, 8 * self.dtype.itemsize) - 1
            self._white = {"u": top, "i": -1, "f": 0}[self.dtype.kind]
            self.notes += ("0 is white in this file (MinIsWhite): its values are inverted",)

    @contextmanager
    def _handle(self) -> Iterator[Any]:
        """Lend a handle to the file that no other thread uses; GDAL's errors become ours."""
        with self._lock:
            if self._closed:
                raise RasterError(f"{self.name} was closed")
            self._refuse_changed()
            file = self._idle.pop() if self._idle else None
        try:
            with rasterio.Env(GDAL_CACHEMAX=self._cache, **GDAL_OPTIONS):
                if file is None:
                    file = self._open()
                yield file
        except GDAL_ERRORS as error:
            raise RasterError(
                f"{self._file} is damaged or cut short: {_reason(error)}; get the file again"
            ) from error
        finally:
            if file is not None:
                with self._lock:
                    keep = not self._closed
                    if keep:
                        self._idle.append(file)
                if not keep:
                    file.close()

    def _refuse_changed(self) -> None:
        """Refuse to mix the pixels of two files that had the same name."""
        if (now := _signed(self._file)) == self._signature:
            return
        # Touched, tagged, given overviews or compressed anew, it still is the same image.
        with suppress(RasterError), GeoRaster(self._file, self._cache, self._page) as again:
            if known_fingerprint(self) == fingerprint(again):
                while self._idle:
                    self._idle.pop().close()
                self._signature = now
                return
        raise RasterError(
            f"{self._file} has changed on the disk since it was opened; open it again"
        )

    def _open(self) -> Any:
        try:
            with quiet_opening():
                # `rasterio.open` takes one driver; the class behind it, a list of allowed ones.
                # The whole path: GDAL takes "NETCDF:a.tif" for something else than a file.
                page = f"GTIFF_DIR:{self._page}:" if self._page else ""
                name = page + os.fspath(self._file.absolute())
                return DatasetReader(name, driver=_local_drivers())
        except (*GDAL_ERRORS, ValueError, TypeError) as error:
            raise GdalError(
                f"{self._file} cannot be opened as an image: {_reason(error)}; "
                "expected a GeoTIFF or another raster format"
            ) from error

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` of a window, in the image's own type.

        Raises
        ------
        RasterError
            If the window or a band is outside the image, or the file is damaged.
        """
        return self._read(window, window.shape, self._chosen(bands))

    def _read(
        self,
        window: Window,
        shape: tuple[int, int],
        bands: tuple[int, ...],
        resampling: Resampling = Resampling.nearest,
    ) -> NDArray[Any]:
        inside(window, self.shape)
        if not window:
            return np.zeros((len(bands), *shape), dtype=self.dtype)
        sources = [self._sources[band - 1] for band in bands]
        files = sorted({band for band, _ in sources})
        if any(band in self._palettes for band in files):
            resampling = Resampling.nearest  # the mean of two palette indices is neither
        with self._handle() as file:
            stored = file.read(
                files, window=_to_rasterio(window), out_shape=shape, resampling=resampling
            )
        if self._white is not None:
            stored = (self._white - stored).astype(self.dtype)
        if files == [band for band, _ in sources] and not self._palettes:
            return np.asarray(stored).astype(self.dtype, copy=False)
        pixels = np.empty((len(bands), *shape), dtype=self.dtype)
        for k, (band, colour) in enumerate(sources):
            layer = stored[files.index(band)]
            if colour is not None:
                layer = self._palettes[band][:, colour].take(layer, mode="clip")
            pixels[k] = layer
        return pixels

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Where these bands (all by default) have data.

        False where one of them has its no-data value or is no number, where a mask or an alpha
        band is 0, and where a palette colour is fully transparent.

        Raises
        ------
        RasterError
            If the window or a band is outside the image, or the file is damaged.
        """
        return self._valid(window, window.shape, self._chosen(bands))

    def _valid(
        self, window: Window, shape: tuple[int, int], bands: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        inside(window, self.shape)
        valid = np.ones(shape, dtype=np.bool_)
        if not window:
            return valid
        files = sorted({self._sources[band - 1][0] for band in bands} - {*self._alphas})
        dark = self._dark
        with self._handle() as file:
            options: dict[str, Any] = {"window": _to_rasterio(window), "out_shape": shape}
            for band in sorted({self._masks[band - 1] for band in files} - {0}):
                valid &= file.read_masks(band, **options) > 0
            for band in self._floats:
                if band in files:
                    valid &= np.isfinite(file.read(band, **options))
            nodatas = {b: v for b in files if (v := file.nodatavals[b - 1]) is not None}
            if nodatas:
                lost = lacking(
                    file.read([*nodatas], **options),
                    [*nodatas.values()],
                    [dark[band - 1] for band in nodatas],
                )
                valid &= ~lost
            for band, palette in self._palettes.items():
                if band in files and (palette[:, 3] == 0).any():
                    indices = file.read(band, **options)
                    valid &= palette[:, 3].take(indices, mode="clip") > 0
            for band in self._alphas:
                valid &= file.read(band, **options) > 0
        return valid

    @cached_property
    def _dark(self) -> tuple[bool, ...]:
        """Bands of the file whose no-data value is also a measurement."""
        with self._handle() as file:
            nodatas = list(file.nodatavals)
            if all(value is None for value in nodatas) or self._floats:
                return (False,) * len(nodatas)
            blocks = [
                file.read(window=_to_rasterio(window)) for window in lattice(self.shape, 6, 96)
            ]
        return also_measured(blocks, nodatas)

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Whole image with at most `max_side` pixels a side, and where it has data.

        From the file's overviews where it has them, else every so-many-th pixel.

        Raises
        ------
        RasterError
            If a band is outside the image, or the file is damaged.
        """
        shape = self._overview_shape(max_side)
        whole = Window.whole(self.shape)
        chosen = self._chosen(bands)
        return self._read(whole, shape, chosen), self._valid(whole, shape, chosen)

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Pixels of a window at one `step`-th of the resolution, sides rounded up.

        Means of ``step x step`` pixels (palettes: every `step`-th), from the file's overviews
        where it has them.

        Raises
        ------
        RasterError
            If the window or a band is outside the image, or the file is damaged.
        """
        shape = (-(-window.height // step), -(-window.width // step))
        return self._read(window, shape, self._chosen(bands), Resampling.average)

    @property
    def overviews(self) -> tuple[int, ...]:
        """Factors of the reduced copies that the file brings along, for instance ``(2, 4, 8)``."""
        with self._handle() as file:
            return tuple(file.overviews(1))

    def rest(self) -> None:
        """Give the file back until something is read again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for file in idle:
            file.close()

    def close(self) -> None:
        """Give the file back; a read that is under way still ends well."""
        with self._lock:
            self._closed = True
        self.rest()


def refuse_remote(source: str) -> None:
    """Refuse a name that leads to the network.

    Raises
    ------
    RasterError
        If it does.
    """
    if _REMOTE.match(source.strip()):
        raise RasterError(
            f"{source} is not on this computer; images are read from local files only, "
            "download it first"
        )


def _signed(path: Path) -> Signature:
    try:
        return signature(path)
    except FileNotFoundError as error:
        raise RasterError(
            f"{path} is not there any more; put it back, or open it where it is now"
        ) from error
    except (OSError, ValueError) as error:
        raise RasterError(f"{path} cannot be read: {error}") from error


def _refuse_remote_sources(path: Path) -> None:
    """Refuse a VRT that names sources on the network."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
            if b"<VRTDataset" not in start:
                return
            text = start + file.read(64 << 20)
    except OSError as error:
        raise RasterError(f"{path} cannot be read: {error.strerror or error}") from error
    for match in _VRT_SOURCE.finditer(text):
        source = match[1].decode(errors="replace").strip()
        if _REMOTE.search(source):
            raise RasterError(
                f"{path} refers to {source}, which is not on this computer; download it first"
            )


@lru_cache(maxsize=1)
def _local_drivers() -> list[str]:
    """Names of GDAL's drivers that do not fetch anything from elsewhere."""
    with rasterio.Env() as env:
        return [name for name in env.drivers() if name not in _NETWORK_DRIVERS]


def _numpy_types(names: Sequence[str]) -> list[str]:
    """GDAL's types by their NumPy names; its complex integers have none."""
    return ["complex64" if name.startswith("complex") else name for name in names]


def _palette(colours: dict[int, tuple[int, int, int, int]]) -> NDArray[np.uint8]:
    table = np.zeros((max(colours, default=0) + 1, 4), dtype=np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table


def _glance(file: Any, band: int) -> NDArray[Any]:
    """A few hundred to a few thousand values of a band, without reading much of the file."""
    windows = lattice(file.shape, 5, 64)
    return np.concatenate(
        [np.asarray(file.read(band, window=_to_rasterio(window))).ravel() for window in windows]
    )


def _to_rasterio(window: Window) -> rasterio.windows.Window:
    return rasterio.windows.Window(window.left, window.top, window.width, window.height)


def _reason(error: BaseException) -> str:
    """What GDAL said first, as one line: the cause says more than "Read failed"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
