"""Makes the form of a recipe's settings, and reads it back."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, get_type_hints

from magicgui.widgets import CheckBox, ComboBox, Container, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget

from napari_disca.core.typed_values import choices_of, is_choice, text_of, value_of_text

if TYPE_CHECKING:
    from napari_disca.recipes import Recipe


def form_of(value: Recipe) -> Container[ValueWidget[Any]]:
    """Return a form with a row for every setting of a recipe.

    Floats are text in scientific notation: a spin box would turn 2e-7 into 0. So are values of
    several types, for instance a number or none.

    Parameters
    ----------
    value : Recipe
        Of fields whose types `core.typed_values` knows. Their ``metadata`` may hold ``label``,
        ``tooltip``, ``min`` and ``max``.
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
        if is_choice(kind):
            choices = [(text_of(choice), choice) for choice in choices_of(kind)]
            rows.append(ComboBox(choices=choices, value=now, **options))
        elif kind is bool:
            box = CheckBox(value=now, **options)
            box.text = ""  # the panel's label says it
            rows.append(box)
        elif kind is int:
            low, high = int(about.get("min", 0)), int(about.get("max", 10**6))
            rows.append(SpinBox(value=now, min=low, max=high, **options))
        else:
            rows.append(LineEdit(value=text_of(now), **options))
    # Without labels: the panel aligns them with its own.
    return Container(widgets=rows, labels=False)


def read_form(form: Container[ValueWidget[Any]], value: Recipe) -> Recipe:
    """Return a recipe with the values of its form; the recipe checks them.

    Raises
    ------
    RecipeError
        If a text does not stand for a value of its field, or the recipe refuses a value.
    """
    from napari_disca.core.errors import RecipeError

    hints = get_type_hints(type(value))
    changes: dict[str, Any] = {}
    for row in form:
        entered = row.value
        if isinstance(row, LineEdit):
            try:
                entered = value_of_text(entered, hints[row.name])
            except ValueError as error:
                raise RecipeError(f"{row.label} = {entered!r} {error}") from None
        changes[row.name] = entered
    return replace(value, **changes)
