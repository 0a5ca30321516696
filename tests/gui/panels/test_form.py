from __future__ import annotations

from dataclasses import fields

import pytest

from napari_disca.core.errors import RecipeError
from napari_disca.recipes import RECIPES

pytest.importorskip("magicgui")
from napari_disca.gui.panels.form import form_of, read_form


@pytest.mark.parametrize("name", RECIPES)
def test_the_form_gives_back_every_recipe(name, qtbot):
    recipe = RECIPES[name]
    assert read_form(form_of(recipe), recipe) == recipe


@pytest.mark.parametrize("text", ["5e-6", "2e-7", "0.0003", "1"])
def test_small_rates_survive(text, qtbot):
    form = form_of(RECIPES["held-out"])
    form["rate"].value = text
    assert read_form(form, RECIPES["held-out"]).rate == float(text)


@pytest.mark.parametrize(("field", "text"), [("rate", "fast"), ("rate", "-1"), ("weight", "nan")])
def test_nonsense_is_one_clear_line(field, text, qtbot):
    form = form_of(RECIPES["held-out"])
    form[field].value = text
    with pytest.raises(RecipeError, match=field):
        read_form(form, RECIPES["held-out"])


def test_every_field_has_a_row_and_a_tooltip(qtbot):
    recipe = RECIPES["held-out"]
    form = form_of(recipe)
    assert [row.name for row in form] == [field.name for field in fields(recipe)]
    assert all(row.tooltip for row in form)
