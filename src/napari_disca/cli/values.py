"""From text on the command line to values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from napari_disca.raster.scaling import Scaling


def parse_factor(text: str) -> float | str:
    """Parse a number or ``auto``."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor 'auto'") from None


def parse_value_scaling(text: str) -> Scaling:
    """Parse a kind of scaling or ``LOW:HIGH``."""
    from napari_disca.core.errors import CardError
    from napari_disca.raster.scaling import Scaling

    try:
        return Scaling.parse(text)
    except CardError as error:
        raise typer.BadParameter(str(error)) from None


def parse_fill(text: str) -> bool | tuple[float, ...]:
    """Parse ``auto``, ``keep`` or values that are no data."""
    from napari_disca.core.errors import CardError
    from napari_disca.raster.value_scale import fill_choice

    try:
        return fill_choice(text)
    except CardError as error:
        raise typer.BadParameter(str(error)) from None


def parse_seed(text: str) -> int:
    """Parse a number that every generator takes."""
    # What takes a seed needs torch anyway.
    from napari_disca.recipes import checked_seed

    try:
        return checked_seed(int(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no whole number from 0 to 2^63 - 1") from None


def parse_bands(text: str) -> tuple[int, ...]:
    """Parse ``1,2,3``."""
    try:
        chosen = tuple(int(part) for part in text.split(","))
    except ValueError:
        chosen = ()
    if not chosen or min(chosen) < 1:
        raise typer.BadParameter(f"{text!r} is no list of bands like 1,2,3")
    return chosen


def parse_option(text: str) -> tuple[str, str | int | float | bool]:
    """Parse ``NAME=VALUE``, where the value may be a number, ``true`` or ``false``."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise typer.BadParameter(f"{text!r} is not like encoder=resnet34")
    return name.strip(), _value(value.strip())


def _value(text: str) -> str | int | float | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
