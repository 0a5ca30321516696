"""The table of architectures."""

from __future__ import annotations

from napari_disca.core.errors import CardError, one_line
from napari_disca.networks.card import Card
from napari_disca.networks.linknet import LinkNet
from napari_disca.networks.lite_unet import LiteUNet
from napari_disca.networks.network import Network

#: Name in the card -> class; the card's ``options`` are its keyword arguments.
ARCHITECTURES: dict[str, type[Network]] = {
    "linknet": LinkNet,
    "lite-unet": LiteUNet,
}


def architecture_of(card: Card) -> type[Network]:
    """Return the class of a card's network.

    Raises
    ------
    CardError
        If the architecture is unknown.
    """
    try:
        return ARCHITECTURES[card.architecture]
    except KeyError:
        raise CardError(
            f"card {card.name!r} asks for architecture {card.architecture!r}; "
            f"this version knows {', '.join(ARCHITECTURES)}"
        ) from None


def build_network(card: Card) -> Network:
    """Build the network of a card with random weights, in evaluation mode.

    Raises
    ------
    CardError
        If the architecture or one of its options is unknown.
    """
    architecture = architecture_of(card)
    try:
        return architecture(card, **dict(card.options)).eval()
    except TypeError as error:
        raise CardError(f"card {card.name!r} has wrong options: {one_line(error)}") from error
