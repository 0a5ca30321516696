"""What is installed, where networks would run, and what is wrong."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

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
    "PyQt6",
    "PySide6",
)
_DRIVERS = ("GTiff", "COG", "VRT", "JPEG", "PNG", "JP2OpenJPEG", "WEBP")

# In a process of its own: a missing screen or a broken driver aborts it.
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
    "renderer": GL.glGetString(GL.GL_RENDERER).decode(),
    "version": GL.glGetString(GL.GL_VERSION).decode(),
    "texture": int(GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE)),
}))
"""


def report() -> list[str]:
    """Lines about this installation; the last ones are its problems."""
    problems: list[str] = []
    lines = [f"Python {platform.python_version()} on {platform.platform()}"]
    lines += [f"{name} {_version(name) or 'not installed'}" for name in _PACKAGES]
    lines += _gdal(problems)
    lines += _torch(problems)
    lines += _opengl(problems)
    lines += _networks(problems)
    if _version("napari") is None:
        problems.append("napari is not installed: pip install 'napari-disca[all]'")
    lines.append("")
    lines += [f"problem: {line}" for line in problems] or ["no problems found"]
    return lines


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gdal(problems: list[str]) -> list[str]:
    import rasterio
    from rasterio.drivers import raster_driver_extensions
    from rasterio.env import GDALVersion

    with rasterio.Env() as env:
        drivers = env.drivers()
    there = [name for name in _DRIVERS if name in drivers]
    if "GTiff" not in there:
        problems.append("GDAL cannot read GeoTIFF: reinstall rasterio")
    extensions = len(raster_driver_extensions())
    return [
        f"GDAL {GDALVersion.runtime()}, drivers: {', '.join(there)} "
        f"({len(drivers)} in all, {extensions} file extensions)"
    ]


def _torch(problems: list[str]) -> list[str]:
    import torch

    from napari_disca.compute import Compute

    lines = [
        f"device: {Compute.choose()}",
        f"CPU threads: {torch.get_num_threads()} of {os.cpu_count()}, "
        f"OMP_WAIT_POLICY {os.environ.get('OMP_WAIT_POLICY', 'not set')}",
    ]
    if torch.cuda.is_available():
        lines.append(f"CUDA: {torch.cuda.get_device_name()}")
    elif torch.version.cuda:
        problems.append("torch is built for CUDA but finds no GPU: check the NVIDIA driver")
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
        problems.append(
            "OMP_WAIT_POLICY=ACTIVE lets waiting threads burn a core: set it to PASSIVE"
        )
    return lines


def _opengl(problems: list[str]) -> list[str]:
    if not (_version("napari") and (_version("PyQt6") or _version("PySide6"))):
        return ["OpenGL: not looked at (no Qt)"]
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return ["OpenGL: not looked at (no screen)"]
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
        problems.append("no OpenGL context could be made: install or update the graphics driver")
        return ["OpenGL: not available"]
    if found["texture"] < 4096:
        problems.append(
            f"OpenGL textures end at {found['texture']} pixels: images will look coarse; update "
            "the graphics driver"
        )
    return [
        f"OpenGL {found['version']}, {found['renderer']}, textures up to {found['texture']} pixels"
    ]


def _networks(problems: list[str]) -> list[str]:
    import platformdirs

    from napari_disca.errors import DiscaError
    from napari_disca.networks import bundled_weights, read_card

    lines = []
    for name, file in bundled_weights().items():
        try:
            card = read_card(file)
        except DiscaError as error:
            problems.append(str(error))
            continue
        resolution = f"{card.ground_resolution:g} m" if card.ground_resolution else "any scale"
        classes = ", ".join(c.name for c in card.classes)
        lines.append(f"network {name}: {classes}; {resolution} a pixel")
    if not lines:
        problems.append("no bundled networks were found: reinstall napari-disca")
    cache = Path(platformdirs.user_cache_dir("napari-disca", appauthor=False))
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) if cache.exists() else 0
    lines.append(f"cache: {cache} ({size / 1e6:.0f} MB)")
    return lines
