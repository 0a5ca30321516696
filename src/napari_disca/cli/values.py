"""Parsers of texts on the command line; each raises `typer.BadParameter` if a text is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from napari_disca.raster.values.scaling import Scaling


def parse_factor(text: str) -> float | str:
    """Return a number, or ``"auto"``."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor 'auto'") from None


def parse_value_scaling(text: str) -> Scaling:
    """Return the scaling that a text names: its kind or ``LOW:HIGH``."""
    from napari_disca.core.errors import CardError
    from napari_disca.raster.values.scaling import Scaling

    try:
        return Scaling.parse(text)
    except CardError as error:
        raise typer.BadParameter(str(error)) from None


def parse_fill(text: str) -> bool | tuple[float, ...]:
    """Return True for ``auto``, False for ``keep``, or the listed values."""
    from napari_disca.core.errors import CardError
    from napari_disca.raster.values.value_scale import fill_choice

    try:
        return fill_choice(text)
    except CardError as error:
        raise typer.BadParameter(str(error)) from None


def parse_seed(text: str) -> int:
    """Return a seed that every random generator accepts."""
    # Commands with a seed import torch anyway.
    from napari_disca.recipes import checked_seed

    try:
        return checked_seed(int(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number from 0 to 2^63 - 1") from None


def parse_bands(text: str) -> tuple[int, ...]:
    """Return the band numbers in a text like ``1,2,3``."""
    try:
        chosen = tuple(int(part) for part in text.split(","))
    except ValueError:
        chosen = ()
    if not chosen or min(chosen) < 1:
        raise typer.BadParameter(f"{text!r} is not a list of bands like 1,2,3")
    return chosen


def parse_option(text: str) -> tuple[str, str]:
    """Return name and value of ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise typer.BadParameter(f"{text!r} is not like encoder=resnet34")
    return name.strip(), value.strip()
