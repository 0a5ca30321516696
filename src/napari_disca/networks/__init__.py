"""Networks: architectures, cards, weight files, differences of weights, devices.

To add an architecture, write one module with a `Network` subclass and add one line to
`ARCHITECTURES` in `networks.table`; the card's ``options`` become its keyword arguments.
"""

from __future__ import annotations

from napari_disca.networks.card import Card, LandClass
from napari_disca.networks.delta import Delta, DeltaCache
from napari_disca.networks.files import (
    bundled_weights,
    fingerprint,
    load_network,
    needs_consent,
    read_card,
    save_network,
    write_tensors,
)
from napari_disca.networks.network import Features, Network
from napari_disca.networks.preparation import encoder_fingerprint, prepared
from napari_disca.networks.table import (
    ARCHITECTURES,
    architecture_of,
    build_network,
    parsed_options,
)
from napari_disca.raster.values.scaling import Scaling

__all__ = [
    "ARCHITECTURES",
    "Card",
    "Delta",
    "DeltaCache",
    "Features",
    "LandClass",
    "Network",
    "Scaling",
    "architecture_of",
    "build_network",
    "bundled_weights",
    "encoder_fingerprint",
    "fingerprint",
    "load_network",
    "needs_consent",
    "parsed_options",
    "prepared",
    "read_card",
    "save_network",
    "write_tensors",
]
