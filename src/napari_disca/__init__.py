"""napari-disca: click on what a segmentation network got wrong; the whole map corrects itself.

The engine knows no GUI: a `Session` is one image being corrected, and its verbs return jobs that
a script drives with `finish`, and the napari panel on a thread. Importing this package imports
neither torch nor Qt; the names below do when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_disca.clicks import Click as Click
    from napari_disca.clicks import Clicks as Clicks
    from napari_disca.errors import DiscaError as DiscaError
    from napari_disca.events import finish as finish
    from napari_disca.exports import write_geotiff as write_geotiff
    from napari_disca.networks import load_network as load_network
    from napari_disca.raster import open_raster as open_raster
    from napari_disca.recipes import RECIPES as RECIPES
    from napari_disca.session import Session as Session

try:
    __version__ = version("napari-disca")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

_HOMES = {
    "Click": "clicks",
    "Clicks": "clicks",
    "DiscaError": "errors",
    "RECIPES": "recipes",
    "Session": "session",
    "finish": "events",
    "load_network": "networks",
    "open_raster": "raster",
    "write_geotiff": "exports",
}

__all__ = [
    "RECIPES",
    "Click",
    "Clicks",
    "DiscaError",
    "Session",
    "__version__",
    "finish",
    "load_network",
    "open_raster",
    "write_geotiff",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
