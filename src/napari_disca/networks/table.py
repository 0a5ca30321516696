"""The table of architectures."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from napari_disca.core.errors import CardError, DiscaError, one_line
from napari_disca.core.typed_values import checked_value, is_typed, value_of_text
from napari_disca.networks.card import Card
from napari_disca.networks.linknet import LinkNet
from napari_disca.networks.lite_unet import LiteUNet
from napari_disca.networks.network import Network

#: Name in the card -> class; the card's ``options`` are its keyword arguments.
ARCHITECTURES: dict[str, type[Network]] = {
    "linknet": LinkNet,
    "lite-unet": LiteUNet,
}

#: Characters of a name or a value in a card that are quoted at most.
_MOST = 60


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
        If the architecture or one of its options is unknown, or it refuses them.
    """
    architecture = architecture_of(card)
    kinds = _options_of(architecture)
    options = dict(card.options)
    for name, value in options.items():
        if name not in kinds:
            raise CardError(_unknown(name, card.architecture, kinds))
        try:
            options[name] = checked_value(value, kinds[name])
        except ValueError as error:
            raise CardError(_wrong(name, value, card.architecture, error)) from None
    try:
        network = architecture(card, **options).eval()
        if network.encoder_modules:
            _ = network.similarity_stride  # measured here, before copies are converted
        return network
    except DiscaError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise CardError(f"card {card.name!r} has wrong options: {one_line(error)}") from error


def parsed_options(architecture: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return options of an architecture from text, as the types of its arguments say.

    Parameters
    ----------
    architecture : str
        Key of `ARCHITECTURES`. Options of an unknown one stay text.
    texts : mapping of str to str

    Raises
    ------
    CardError
        If it has no such option, or a text does not stand for a value of it.
    """
    if architecture not in ARCHITECTURES:
        return dict(texts)
    kinds = _options_of(ARCHITECTURES[architecture])
    options = {}
    for name, text in texts.items():
        if name not in kinds:
            raise CardError(_unknown(name, architecture, kinds))
        kind = kinds[name] if is_typed(kinds[name]) else bool | int | float | str
        try:
            options[name] = value_of_text(text, kind)
        except ValueError as error:
            raise CardError(_wrong(name, text, architecture, error)) from None
    return options


def _options_of(architecture: type[Network]) -> dict[str, Any]:
    """Return the types of an architecture's options; Any where they are not known."""
    _, *parameters = inspect.signature(architecture).parameters.values()
    try:
        # `Card` is often imported for type checkers only.
        hints = get_type_hints(architecture.__init__, localns={"Card": Card})
    except NameError:
        hints = {}
    return {parameter.name: hints.get(parameter.name, Any) for parameter in parameters}


def _unknown(name: str, architecture: str, options: Iterable[str]) -> str:
    return f"a {architecture} has no option {name[:_MOST]!r}; it has {', '.join(options) or 'none'}"


def _wrong(name: str, value: object, architecture: str, error: ValueError) -> str:
    return f"{name} = {repr(value)[:_MOST]} of a {architecture} {error}"
