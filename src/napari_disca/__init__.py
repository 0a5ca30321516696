"""napari-disca: click on what a segmentation network got wrong; the whole map corrects itself.

The engine knows no GUI: a `Session` is one image being corrected, and its verbs return jobs that
a script drives with `finish`, and the napari panel on a thread. Importing this package imports
neither torch nor Qt; the names below do when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_disca.core.version import __version__

if TYPE_CHECKING:
    from napari_disca.annotations.clicks import Click as Click
    from napari_disca.annotations.clicks import Clicks as Clicks
    from napari_disca.core.errors import DiscaError as DiscaError
    from napari_disca.core.events import finish as finish
    from napari_disca.core.tiling import Window as Window
    from napari_disca.exports import write_geotiff as write_geotiff
    from napari_disca.networks import Card as Card
    from napari_disca.networks import LandClass as LandClass
    from napari_disca.networks import Network as Network
    from napari_disca.networks import build_network as build_network
    from napari_disca.networks import load_network as load_network
    from napari_disca.networks import save_network as save_network
    from napari_disca.networks.compute import Compute as Compute
    from napari_disca.raster import open_raster as open_raster
    from napari_disca.recipes import RECIPES as RECIPES
    from napari_disca.recipes import Recipe as Recipe
    from napari_disca.session.session import Session as Session

_HOMES = {
    "Card": "networks",
    "Click": "annotations.clicks",
    "Clicks": "annotations.clicks",
    "Compute": "networks.compute",
    "DiscaError": "core.errors",
    "LandClass": "networks",
    "Network": "networks",
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "Session": "session.session",
    "Window": "core.tiling",
    "build_network": "networks",
    "finish": "core.events",
    "load_network": "networks",
    "open_raster": "raster",
    "save_network": "networks",
    "write_geotiff": "exports",
}

__all__ = [
    "RECIPES",
    "Card",
    "Click",
    "Clicks",
    "Compute",
    "DiscaError",
    "LandClass",
    "Network",
    "Recipe",
    "Session",
    "Window",
    "__version__",
    "build_network",
    "finish",
    "load_network",
    "open_raster",
    "save_network",
    "write_geotiff",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
