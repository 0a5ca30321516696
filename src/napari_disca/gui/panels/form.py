"""Makes a form of a frozen dataclass, and reads it back."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from magicgui.widgets import ComboBox, Container, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget

T = TypeVar("T")


def form_of(value: Any) -> Container[ValueWidget[Any]]:
    """Return a form with a row for every field of a dataclass instance.

    Floats are text in scientific notation: a spin box would turn 2e-7 into 0.

    Parameters
    ----------
    value : dataclass instance
        ``metadata`` of its fields may hold ``label``, ``tooltip``, ``min`` and ``max``.
    """
    hints = get_type_hints(type(value))
    rows: list[ValueWidget[Any]] = []
    for field in fields(value):
        kind, now, about = hints[field.name], getattr(value, field.name), field.metadata
        options: dict[str, Any] = {
            "name": field.name,
            "label": about.get("label", field.name.replace("_", " ").capitalize()),
            "tooltip": about.get("tooltip", ""),
        }
        if get_origin(kind) is Literal:
            rows.append(ComboBox(choices=get_args(kind), value=now, **options))
        elif kind is int:
            low, high = int(about.get("min", 0)), int(about.get("max", 10**6))
            rows.append(SpinBox(value=now, min=low, max=high, **options))
        else:
            rows.append(LineEdit(value=f"{now:g}", **options))
    # Without labels: the panel aligns them with its own.
    return Container(widgets=rows, labels=False)


def read_form(form: Container[ValueWidget[Any]], value: T) -> T:
    """Return a dataclass instance with the values of its form; the dataclass checks them.

    Raises
    ------
    RecipeError
        If a text is not a number, or the dataclass refuses a value.
    """
    from napari_disca.core.errors import RecipeError

    hints = get_type_hints(type(value))
    changes: dict[str, Any] = {}
    for row in form:
        entered = row.value
        if hints[row.name] is float:
            try:
                entered = float(entered)
            except ValueError:
                raise RecipeError(f"{row.label} = {entered!r} is not a number") from None
        changes[row.name] = entered
    return replace(value, **changes)  # type: ignore[type-var]
