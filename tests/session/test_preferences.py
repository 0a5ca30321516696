from __future__ import annotations

import numpy as np
import pytest

from builders import make_card
from napari_disca.raster import open_raster
from napari_disca.session.preferences import recall, remember


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The folder of settings."""
    monkeypatch.setattr(
        "napari_disca.session.preferences.platformdirs.user_state_dir",
        lambda *_, **__: str(tmp_path / "s"),
    )
    return tmp_path / "s"


@pytest.fixture
def raster(image):
    return open_raster(image)


def test_nothing_is_known_at_first(raster):
    assert recall(raster, make_card()) is None


def test_a_factor_is_remembered_for_its_image_and_network_only(raster):
    card = make_card()
    remember(raster, card, 0.3)
    assert recall(raster, card) == 0.3
    assert recall(raster, make_card(name="another")) is None
    assert recall(open_raster(np.zeros((150, 200, 3), np.uint8)), card) is None


def test_none_forgets(raster):
    card = make_card()
    remember(raster, card, 0.3)
    remember(raster, card, None)
    assert recall(raster, card) is None


def test_forgetting_what_was_never_known_writes_nothing(raster, state):
    remember(raster, make_card(), None)
    assert not state.exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_forgotten(raster, state, damage):
    card = make_card()
    remember(raster, card, 0.3)
    (file,) = state.iterdir()
    file.write_bytes(damage)
    assert recall(raster, card) is None
    remember(raster, card, 0.5)
    assert recall(raster, card) == 0.5


@pytest.mark.parametrize("value", ['"0.5"', "0", "1e9", "-1.0", "NaN", "null", "[0.5]"])
def test_an_impossible_factor_is_not_believed(raster, state, value):
    card = make_card()
    remember(raster, card, 0.3)
    (file,) = state.iterdir()
    file.write_text(file.read_text().replace("0.3", value))
    assert recall(raster, card) is None


def test_a_folder_that_cannot_be_written_stops_nothing(raster, state):
    state.write_text("a file where the folder should be")
    remember(raster, make_card(), 0.3)
    assert recall(raster, make_card()) is None


def test_the_oldest_are_forgotten(raster, monkeypatch):
    monkeypatch.setattr("napari_disca.session.preferences._LIMIT", 3)
    cards = [make_card(name=f"network {i}") for i in range(5)]
    for card in cards:
        remember(raster, card, 0.3)
    assert [recall(raster, card) for card in cards] == [None, None, 0.3, 0.3, 0.3]
