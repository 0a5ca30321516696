from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_card
from napari_disca.annotations.guidance import Guidance
from napari_disca.core.errors import CardError
from napari_disca.networks import Card, LandClass, Scaling

_positive = st.floats(1e-6, 1e6)
_text = st.text(st.characters(codec="utf-8"), max_size=20)
_name = _text.filter(str.strip)
_class = st.builds(LandClass, _name, st.integers(0, 0xFFFFFF).map("#{:06x}".format))
_guidance = st.builds(
    Guidance, st.sampled_from(["cone", "authors"]), st.integers(1, 256), st.floats(1e-6, 1e5)
)
_scaling = st.sampled_from([Scaling(kind) for kind in ("auto", "dtype", "percentile")]) | st.builds(
    Scaling, st.just("range"), st.floats(-1e6, 0), st.floats(1, 1e6)
)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    bands = draw(st.lists(_text, min_size=1, max_size=5))
    per_band = {"min_size": len(bands), "max_size": len(bands)}
    return Card(
        name=draw(_name),
        architecture=draw(_text),
        classes=tuple(
            draw(st.lists(_class, min_size=2, max_size=6, unique_by=lambda land: land.name))
        ),
        bands=tuple(bands),
        options=draw(st.dictionaries(_text, st.booleans() | st.integers() | _text, max_size=3)),
        scaling=draw(_scaling),
        mean=tuple(draw(st.lists(st.floats(-1e6, 1e6), **per_band))),
        std=tuple(draw(st.lists(_positive, **per_band))),
        ground_resolution=draw(st.none() | _positive),
        guidance=draw(_guidance),
        training_data=draw(_text),
        licence=draw(_text),
        figures=draw(st.dictionaries(_text, st.floats(0, 1), max_size=3)),
    )


@settings(max_examples=80, deadline=None)
@given(card=cards())
def test_a_card_comes_back_from_its_json(card):
    assert Card.from_json(card.to_json()) == card


def test_fields_of_a_later_version_are_ignored():
    fields = json.loads(make_card().to_json()) | {"invented_later": 1}
    assert Card.from_json(json.dumps(fields)) == make_card()


def test_what_a_card_need_not_say_has_a_default():
    classes = [{"name": "a", "color": "#000000"}, {"name": "b", "color": "#ffffff"}]
    card = Card.from_json(json.dumps({"name": "x", "architecture": "linknet", "classes": classes}))
    assert card.bands == ("red", "green", "blue")
    assert card.guidance == Guidance()
    assert card.scaling == Scaling()
    assert card.ground_resolution is None


def test_colours_as_numbers():
    assert LandClass("road", "#0A80ff").rgb == (10, 128, 255)


@pytest.mark.parametrize(
    ("name", "color", "message"),
    [
        ("", "#000000", "needs a name"),
        (" ", "#000000", "needs a name"),
        (7, "#000000", "needs a name, not 7"),
        ("road", "red", "'red' of class 'road'"),
        ("road", "#12345", "'#12345'"),
        ("road", "#1234567", "'#1234567'"),
        ("road", "#12345g", "'#12345g'"),
        ("road", None, "None"),
    ],
)
def test_classes_that_cannot_be(name, color, message):
    with pytest.raises(CardError, match=message):
        LandClass(name, color)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "magic"}, "'magic' is unknown"),
        ({"kind": "range", "low": 5.0, "high": 5.0}, r"from 5\.0 to 5\.0 is empty"),
        ({"kind": "range", "low": 0.0, "high": math.inf}, "inf"),
        ({"kind": "range", "low": math.nan, "high": 1.0}, "nan"),
    ],
)
def test_scalings_that_cannot_be(fields, message):
    with pytest.raises(CardError, match=message):
        Scaling(**fields)


_MANY = tuple(LandClass(str(i), "#000000") for i in range(65))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"classes": _MANY[:1]}, "1 classes; 2 to 64 work"),
        ({"classes": _MANY}, "65 classes; 2 to 64 work"),
        ({"classes": (_MANY[0], _MANY[0])}, "names a class twice: 0, 0"),
        ({"bands": ()}, "0 bands"),
        ({"bands": ("x",) * 65}, "65 bands"),
        ({"bands": ("pan",)}, "1 bands but 3 means and 3 standard deviations"),
        ({"std": (1.0, 1.0)}, "3 means and 2 standard deviations"),
        ({"mean": (0.0, math.nan, 0.0)}, "means that are not finite"),
        ({"std": (1.0, 0.0, 1.0)}, "not positive"),
        ({"std": (1.0, math.inf, 1.0)}, "not positive"),
        ({"ground_resolution": 0.0}, "ground resolution of 0.0"),
        ({"ground_resolution": -0.3}, "ground resolution of -0.3"),
        ({"ground_resolution": math.inf}, "ground resolution of inf"),
    ],
)
def test_cards_that_cannot_be(changes, message):
    with pytest.raises(CardError, match=message):
        replace(make_card(), **changes)


def _with(**changes: object) -> str:
    return json.dumps(json.loads(make_card().to_json()) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "[" * 100_000,
        '{"name": "x"}',
        _with(name=None),
        _with(name=7),
        _with(architecture=None),
        _with(architecture=["linknet"]),
        _with(classes=None),
        _with(classes=3),
        _with(classes="ab"),
        _with(classes=[{"name": "a"}, {"name": "b"}]),
        _with(classes=[{"name": "a", "color": "#000000", "size": 3}] * 2),
        _with(bands=3),
        _with(bands=[1, 2, 3]),
        _with(bands="rgb"),
        _with(mean=None),
        _with(mean=["0", "0", "0"]),
        _with(mean=[[0], [0], [0]]),
        _with(std=[True, {}, 1]),
        _with(std=[10**400, 1, 1]),
        _with(scaling=None),
        _with(scaling={"kind": ["auto"]}),
        _with(scaling={"kind": "range", "low": "0", "high": "1"}),
        _with(scaling={"kind": "auto", "gamma": 2}),
        _with(guidance={"drawing": "disc"}),
        _with(guidance={"drawing": "cone", "radius": "16"}),
        _with(guidance={"drawing": "cone", "radius": 1.5}),
        _with(guidance={"drawing": "cone", "scale": None}),
        _with(guidance={"drawing": "cone", "scale": math.nan}),
        _with(guidance=[]),
        _with(ground_resolution="0.3"),
        _with(ground_resolution=True),
        _with(options=3),
        _with(options=[["encoder", "resnet18"]]),
        _with(figures=3),
        _with(figures={"miou": "high"}),
        _with(training_data=None),
        _with(licence={}),
    ],
)
def test_text_that_is_not_a_card(text):
    with pytest.raises(CardError, match="card"):
        Card.from_json(text)
