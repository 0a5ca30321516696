from __future__ import annotations

from dataclasses import fields

import pytest

from napari_disca.core.errors import RecipeError
from napari_disca.recipes import RECIPES

pytest.importorskip("magicgui")
from napari_disca.gui.panels.correction.form import form_of, read_form


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


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_has_a_row_with_label_and_tooltip(name, qtbot):
    recipe = RECIPES[name]
    form = form_of(recipe)
    assert [row.name for row in form] == [field.name for field in fields(recipe)]
    for row in form:
        assert row.label[:1].isupper(), row.name
        assert row.tooltip, row.name


@pytest.mark.parametrize("name", RECIPES)
def test_tooltips_of_numbers_say_what_more_and_less_of_them_does(name, qtbot):
    recipe = RECIPES[name]
    form = form_of(recipe)
    for field in fields(recipe):
        if type(getattr(recipe, field.name)) in (int, float):
            words = form[field.name].tooltip.lower().replace(",", " ").split()
            assert "more" in words or "more:" in words, field.name
            assert {"less", "less:", "fewer"} & set(words), field.name


def test_an_impossible_number_is_told_by_the_label(qtbot):
    form = form_of(RECIPES["default"])
    form["hold"].value = "5000"
    with pytest.raises(RecipeError, match=r"^Change allowed elsewhere \(hold\) = 5000"):
        read_form(form, RECIPES["default"])
