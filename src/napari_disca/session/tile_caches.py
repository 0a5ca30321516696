"""What is kept of the tiles of one image: features in memory and on disk, and logits."""

from __future__ import annotations

from napari_disca.inference.features import FeatureCache
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_batch import Tools

#: Bytes of logits of tiles with clicks: of those that a click or two touch.
_LOGITS_BYTES = 128 << 20
#: Bytes of condensed features of tiles in memory: of some hundred.
_CONDENSED_BYTES = 128 << 20


class TileCaches:
    """What all networks of a session keep of its image's tiles.

    Parameters
    ----------
    inputs : NetworkView
    features : FeatureCache, optional
        For adapted networks whose encoder is still the pretrained one.

    Attributes
    ----------
    features, condensed : FeatureCache
    tools : Tools
        All of it, as predictors and recipes take it.
    """

    def __init__(self, inputs: NetworkView, features: FeatureCache | None = None) -> None:
        self.features = features or FeatureCache()
        self.condensed = FeatureCache(_CONDENSED_BYTES)
        self.set_limits(self.features.disk)
        self.tools = Tools(
            inputs,
            features=self.features,
            condensed=self.condensed,
            logits=FeatureCache(_LOGITS_BYTES),
        )

    def set_limits(self, disk: int, memory: int | None = None) -> None:
        """Let features of tiles take so many bytes on disk, and so many of memory.

        A quarter is for condensed features. They are a fifth of the whole, and all that an
        adaptation asks of a tile without clicks, so that they shall be the last to go.
        """
        self.condensed.allow_disk(disk // 4)
        self.features.allow_disk(disk - disk // 4)
        if memory is not None:
            self.features.allow_memory(memory)

    @property
    def disk(self) -> int:
        """Bytes that features of tiles may take on disk."""
        return self.features.disk + self.condensed.disk
