"""Copies of networks that are prepared for prediction on a device."""

from __future__ import annotations

import threading
from typing import Any

from cachetools import LRUCache

from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute

#: Most copies.
_MOST = 4


class PreparedNetworks:
    """Copies of networks by device and precision; the least recently used are dropped first.

    Safe to use from several threads: those of a job, of the reading ahead, and of a second job
    that begins before the first has ended.
    """

    def __init__(self) -> None:
        # The network is kept with its copy, so that no other object gets its id.
        self._copies: LRUCache[Any, tuple[Network, Network]] = LRUCache(_MOST)
        self._lock = threading.Lock()

    def get(self, network: Network, compute: Compute) -> Network:
        """Return the copy of a network for a device and precision; it is made if there is none.

        Parameters
        ----------
        network : Network
            Not changed.
        compute : Compute
        """
        key = id(network), compute.device, compute.dtype, compute.folded
        with self._lock:
            if key not in self._copies:
                ready = prepared(network, compute.device, compute.dtype, folded=compute.folded)
                self._copies[key] = network, ready
            return self._copies[key][1]

    def forget(self, compute: Compute) -> None:
        """Drop the copies on a device, whose memory is full."""
        with self._lock:
            for key in [key for key in self._copies if key[1] == compute.device]:
                del self._copies[key]
