"""Copies of networks that are ready for prediction on a device."""

from __future__ import annotations

import threading
from typing import Any

from cachetools import LRUCache

from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute

#: Copies that are kept.
_KEPT = 4


class PreparedNetworks:
    """Copies of networks by device and precision; the least recently used are forgotten first.

    May be used from several threads: a job, the thread that reads ahead of it, and a second job
    before the first has ended.
    """

    def __init__(self) -> None:
        # The network itself is kept with its copy, so that its id stays its own.
        self._kept: LRUCache[Any, tuple[Network, Network]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def get(self, network: Network, compute: Compute) -> Network:
        """Copy of a network, made now if there is none.

        Parameters
        ----------
        network : Network
            Left as it is.
        compute : Compute
        """
        key = id(network), compute.device, compute.dtype, compute.folded
        with self._lock:
            if key not in self._kept:
                ready = prepared(network, compute.device, compute.dtype, folded=compute.folded)
                self._kept[key] = network, ready
            return self._kept[key][1]

    def forget(self, compute: Compute) -> None:
        """Let go of the copies on a device, whose memory is full."""
        with self._lock:
            for key in [key for key in self._kept if key[1] == compute.device]:
                del self._kept[key]
