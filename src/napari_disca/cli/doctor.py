"""The ``info`` command: versions, device and problems of this installation."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from napari_disca.cli.console import say
from napari_disca.cli.options import InfoOptions

_PACKAGES = (
    "napari-disca",
    "torch",
    "numpy",
    "scipy",
    "rasterio",
    "pyproj",
    "tifffile",
    "safetensors",
    "napari",
    "npe2",
    "magicgui",
)
_QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")
#: First version that gives None and True away too often before Python 3.12, where they are
#: immortal: "Fatal Python error: none_dealloc".
_PYSIDE_OF_PYTHON_312 = (6, 12)
#: GDAL's drivers that are listed, and those that are necessary, with the formats that they read.
_DRIVERS = ("GTiff", "COG", "VRT", "JPEG", "PNG", "JP2OpenJPEG", "WEBP")
_NEEDED = {"GTiff": "GeoTIFF", "VRT": "mosaics (VRT)", "JPEG": "JPEG", "JP2OpenJPEG": "Sentinel-2"}

# Code of another process, because a missing screen or a broken driver aborts it.
_OPENGL = """
import json, sys
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
app = QGuiApplication([])
surface, context = QOffscreenSurface(), QOpenGLContext()
surface.create()
if not context.create() or not context.makeCurrent(surface):
    sys.exit("no OpenGL context")
from OpenGL import GL
print(json.dumps({
    "vendor": GL.glGetString(GL.GL_VENDOR).decode(),
    "renderer": GL.glGetString(GL.GL_RENDERER).decode(),
    "version": GL.glGetString(GL.GL_VERSION).decode(),
    "texture": int(GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE)),
}))
"""


def info(options: InfoOptions) -> int:
    """Print versions, device and problems, or how images would be read; return the exit code."""
    if options.images:
        return _images(options.images)
    lines, problems = report()
    say(*lines, "", *(f"problem: {line}" for line in problems))
    if not problems:
        say("no problems found")
    return 1 if problems and options.check else 0


def _images(images: Sequence[Path]) -> int:
    """Print how images would be read."""
    from napari_disca.raster import open_raster
    from napari_disca.raster.report import reading_lines

    for image in images:
        with open_raster(image) as raster:
            say(str(image), *(f"  {line}" for line in reading_lines(raster)))
    return 0


def report() -> tuple[list[str], list[str]]:
    """Return lines about this installation, and its problems with their remedies.

    Returns
    -------
    lines, problems : list of str
    """
    lines: list[str] = []
    problems: list[str] = []
    sections: dict[str, Callable[[list[str]], list[str]]] = {
        "packages": _packages,
        "GDAL": _gdal,
        "PROJ": _proj,
        "torch": _torch,
        "OpenGL": _opengl,
        "networks": _networks,
        "files": _files,
    }
    for name, section in sections.items():
        try:
            lines += section(problems)
        except Exception as error:
            # Any error is a finding about the installation, not a bug of this command.
            lines.append(f"{name}: broken")
            problems.append(f"{name}: {' '.join(str(error).split())}: reinstall napari-disca")
    return lines, problems


def has_screen() -> bool:
    """Return whether Qt finds a screen, or was told to use none; otherwise Qt ends the process."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, names))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _major_minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _packages(problems: list[str]) -> list[str]:
    lines = [f"Python {platform.python_version()} on {platform.platform()}"]
    lines += [f"{name} {_version(name) or 'not installed'}" for name in _PACKAGES]
    qt = [f"{name} {_version(name)}" for name in _QT if _version(name)]
    lines.append(f"Qt: {', '.join(qt) or 'not installed'}")
    pyside = _version("PySide6-Essentials") or _version("PySide6") or ""
    if _major_minor(pyside) >= _PYSIDE_OF_PYTHON_312 and sys.version_info < (3, 12):
        problems.append(
            f"PySide6 {pyside} ends Python {platform.python_version()} after some "
            "minutes: use Python 3.12 or newer, PyQt6, or PySide6 6.10"
        )
    if _version("napari") is None or not qt:
        problems.append('napari or Qt is not installed: pip install "napari-disca[all]"')
    if len(qt) > 1:
        problems.append(
            f"there are several Qt bindings ({', '.join(qt)}), which can crash the window: "
            f"uninstall all but one, or set QT_API to {qt[0].split()[0].lower()}"
        )
    plugins = metadata.entry_points(group="napari.manifest")
    if not any(plugin.value == "napari_disca:napari.yaml" for plugin in plugins):
        problems.append(
            "napari does not find this plugin: install it again (pip install napari-disca, or "
            "pip install -e . in its folder)"
        )
    return lines


def _gdal(problems: list[str]) -> list[str]:
    import rasterio
    from rasterio.env import GDALVersion

    with rasterio.Env() as env:
        drivers = env.drivers()
    for name, what in _NEEDED.items():
        if name not in drivers:
            problems.append(
                f"GDAL has no driver {name}, for {what}: install rasterio from its wheel "
                "(pip install --only-binary :all: rasterio)"
            )
    listed = ", ".join(name for name in _DRIVERS if name in drivers)
    return [f"GDAL {GDALVersion.runtime()}, drivers: {listed} ({len(drivers)} in all)"]


def _proj(problems: list[str]) -> list[str]:
    import pyproj
    from rasterio.crs import CRS

    # rasterio and pyproj each have a PROJ library with its own database.
    for name, crs_of in (("rasterio", CRS.from_epsg), ("pyproj", pyproj.CRS.from_epsg)):
        try:
            crs_of(32633)
        except Exception as error:
            variables = [key for key in ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA") if key in os.environ]
            problems.append(
                f"{name} does not know EPSG:32633 ({' '.join(str(error).split())}): "
                + (f"unset {' and '.join(variables)}" if variables else f"reinstall {name}")
            )
    return [f"PROJ {pyproj.proj_version_str}"]


def _torch(problems: list[str]) -> list[str]:
    import torch

    from napari_disca.networks.compute import Compute

    compute = Compute.choose()
    settings = (
        f"{key}={os.environ.get(key, '(not set)')}"
        for key in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
    )
    lines = [
        f"device: {compute}",
        f"CPU threads: {torch.get_num_threads()} of {os.cpu_count()}; {', '.join(settings)}",
    ]
    if torch.cuda.is_available():
        lines.append(f"CUDA {torch.version.cuda}: {torch.cuda.get_device_name()}")
    elif torch.version.cuda:
        problems.append("torch is built for CUDA but finds no GPU: check the NVIDIA driver")
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
        problems.append(
            "OMP_WAIT_POLICY=ACTIVE lets waiting threads use whole cores: set it to PASSIVE"
        )
    return lines


def _opengl(problems: list[str]) -> list[str]:
    if not _version("napari") or not any(map(_version, _QT)):
        return ["OpenGL: not checked (no Qt)"]
    if not has_screen():
        return ["OpenGL: not available (no display)"]
    try:
        result = subprocess.run(
            [sys.executable, "-c", _OPENGL],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = json.loads(result.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        problems.append(
            "no OpenGL context could be made: install or update the graphics driver (on Linux "
            "the packages that the README lists)"
        )
        return ["OpenGL: not available"]
    if found["texture"] < 4096:
        problems.append(
            f"OpenGL textures have at most {found['texture']} pixels a side, so images will look "
            "coarse: update the graphics driver"
        )
    return [
        f"OpenGL {found['version']}, {found['vendor']}, {found['renderer']}, textures up to "
        f"{found['texture']} pixels"
    ]


def _networks(problems: list[str]) -> list[str]:
    from napari_disca.core.errors import DiscaError
    from napari_disca.networks import bundled_weights, read_card

    lines = []
    for name, file in bundled_weights().items():
        try:
            card = read_card(file)
        except DiscaError as error:
            problems.append(f"network {name}: {error}: reinstall napari-disca")
            continue
        resolution = f"{card.ground_resolution:g} m" if card.ground_resolution else "any scale"
        classes = ", ".join(c.name for c in card.classes)
        architecture = " ".join(map(str, (card.architecture, *card.options.values())))
        figures = ", ".join(f"{key} {value:.3g}" for key, value in card.figures.items())
        lines.append(
            f"network {name}: {architecture}; {classes}; {len(card.bands)} bands, "
            f"{resolution} a pixel" + (f"; {figures}" if figures else "")
        )
    if "landcover-5" not in bundled_weights():
        problems.append(
            "the bundled network landcover-5 is missing: reinstall napari-disca, or give "
            "--weights FILE"
        )
    return lines


def _files(problems: list[str]) -> list[str]:
    import tempfile

    import platformdirs

    from napari_disca.cli.outputs import writable
    from napari_disca.core.errors import ExportError

    cache = Path(platformdirs.user_cache_dir("napari-disca", appauthor=False))
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) if cache.exists() else 0
    for folder, use, key in (
        (cache, "sample scenes", "XDG_CACHE_HOME"),
        (Path(tempfile.gettempdir()), "large maps", "TMPDIR"),
    ):
        try:
            writable(folder / "probe")
        except ExportError:
            problems.append(
                f"{folder} cannot be written, where {use} are stored: set {key} to another folder"
            )
    return [f"cache: {cache} ({size / 1e6:.0f} MB)", f"temporary files: {tempfile.gettempdir()}"]
