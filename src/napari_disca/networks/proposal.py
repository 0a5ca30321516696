"""Proposal of the bundled network whose ground resolution fits an image's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Name of the network that is used unless another one fits better.
DEFAULT_NETWORK = "landcover-5"
#: Factor between ground resolutions above which the user is told to expect more errors.
_FAR = 4.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A network that is proposed for an image.

    Attributes
    ----------
    name : str
        Name of the bundled network that fits best.
    reason : str
        Why, as one line for the user.
    """

    name: str
    reason: str

    def hint(self, chosen: str) -> str:
        """Return one line for the user: why this network fits, and that another one is used if so.

        Parameters
        ----------
        chosen : str
            Name or file of the network that is used.
        """
        if chosen == self.name:
            return self.reason
        return f"{self.name} may fit better than the chosen network: {self.reason}"


def propose_network(resolution: float | None, sizes: Mapping[str, float | None]) -> Proposal:
    """Propose the network whose ground resolution is nearest to the image's, as a ratio.

    Parameters
    ----------
    resolution : float or None
        Metres per pixel of the image; None where it is not known.
    sizes : mapping of str to float or None
        Names of networks, and the metres per pixel that they are for; see `bundled_sizes`.

    Returns
    -------
    Proposal
        `DEFAULT_NETWORK` if the image's resolution is not known, or if it fits as well as others.
    """
    ordered = sorted(sizes, key=lambda name: (name != DEFAULT_NETWORK, name))
    # One network for each ground resolution is enough to name.
    by_size = {size: name for name in reversed(ordered) if (size := sizes[name]) is not None}
    if resolution is None or not by_size:
        usual = ordered[0] if ordered else DEFAULT_NETWORK
        others = "".join(
            f"; {name} is for {_metres(size)}" for size, name in sorted(by_size.items())
        )
        return Proposal(
            usual, f"{usual} is taken because the size of this image's pixels is not known{others}"
        )
    distances = {size: abs(math.log(resolution / size)) for size in by_size}
    first, *rest = sorted(
        by_size, key=lambda size: (distances[size], by_size[size] != DEFAULT_NETWORK)
    )
    reason = f"{by_size[first]} is for {_metres(first)}; this image has {_metres(resolution)}"
    reason += "".join(f"; {by_size[size]} is for {_metres(size)}" for size in rest)
    if distances[first] > math.log(_FAR):
        reason += "; no bundled network is near, so expect more errors"
    return Proposal(by_size[first], reason)


def bundled_sizes() -> dict[str, float | None]:
    """Return the ground resolution of each bundled network in metres per pixel.

    Raises
    ------
    CardError
        If a bundled file is damaged.
    """
    from napari_disca.networks.files import bundled_weights, read_card

    return {name: read_card(name).ground_resolution for name in bundled_weights()}


def _metres(size: float) -> str:
    return f"{size:.2g} m" if size < 10 else f"{size:.0f} m"
