"""Caches of the tiles of one image: features in memory and on disk, and logits."""

from __future__ import annotations

from napari_disca.inference.features import FeatureCache
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_batch import Tools

#: Most bytes of logits, enough for the tiles that one or two clicks touch.
_LOGITS_BYTES = 128 << 20
#: Most bytes of condensed features in memory, enough for some hundred tiles.
_CONDENSED_BYTES = 128 << 20


class TileCaches:
    """Caches of the tiles of an image, shared by all networks of a session.

    Parameters
    ----------
    network_view : NetworkView
    features : FeatureCache, optional
        Cache of encoder features; the one of the session by default.

    Attributes
    ----------
    features, condensed : FeatureCache
    tools : Tools
        All caches, as predictors and recipes take them.
    """

    def __init__(self, network_view: NetworkView, features: FeatureCache | None = None) -> None:
        self.features = features or FeatureCache()
        self.condensed = FeatureCache(_CONDENSED_BYTES)
        self.set_limits(self.features.disk)
        self.tools = Tools(
            network_view,
            features=self.features,
            condensed=self.condensed,
            logits=FeatureCache(_LOGITS_BYTES),
        )

    def set_limits(self, disk: int, memory: int | None = None) -> None:
        """Set the most bytes of features on disk and in memory.

        A quarter is reserved for condensed features: they take a fifth of the whole ones, and an
        adaptation needs nothing else of a tile without clicks.
        """
        self.condensed.allow_disk(disk // 4)
        self.features.allow_disk(disk - disk // 4)
        if memory is not None:
            self.features.allow_memory(memory)

    @property
    def disk(self) -> int:
        """Most bytes of features on disk."""
        return self.features.disk + self.condensed.disk
