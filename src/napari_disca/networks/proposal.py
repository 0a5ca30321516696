"""Which bundled network fits an image, by the size of its pixels on the ground."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: What is taken where nothing speaks for another.
USUAL = "landcover-5"
#: A network whose ground resolution differs by more than this factor has seen nothing like it.
_FAR = 4.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A network for an image.

    Attributes
    ----------
    name : str
        Of the bundled network that fits best.
    reason : str
        Why, as one line for the user.
    """

    name: str
    reason: str

    def against(self, chosen: str) -> str:
        """Line for the user who has, or for whom somebody has, chosen a network.

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
        `USUAL` where the image's resolution is not known, and among networks that fit alike.
    """
    ordered = sorted(sizes, key=lambda name: (name != USUAL, name))
    # One network for each ground resolution is enough to be told about.
    known = {size: name for name in reversed(ordered) if (size := sizes[name]) is not None}
    if resolution is None or not known:
        usual = ordered[0] if ordered else USUAL
        others = "".join(f"; {name} is for {_metres(size)}" for size, name in sorted(known.items()))
        return Proposal(
            usual, f"{usual} is taken because the size of this image's pixels is not known{others}"
        )
    distances = {size: abs(math.log(resolution / size)) for size in known}
    first, *rest = sorted(known, key=lambda size: (distances[size], known[size] != USUAL))
    reason = f"{known[first]} is for {_metres(first)}; this image has {_metres(resolution)}"
    reason += "".join(f"; {known[size]} is for {_metres(size)}" for size in rest)
    if distances[first] > math.log(_FAR):
        reason += "; no bundled network is near, so expect more errors"
    return Proposal(known[first], reason)


def bundled_sizes() -> dict[str, float | None]:
    """Metres per pixel that each bundled network is for.

    Raises
    ------
    CardError
        If a bundled file is damaged.
    """
    from napari_disca.networks.files import bundled_weights, read_card

    return {name: read_card(name).ground_resolution for name in bundled_weights()}


def _metres(size: float) -> str:
    return f"{size:.2g} m" if size < 10 else f"{size:.0f} m"
