"""Which bundled network an image gets where nobody has chosen one."""

from __future__ import annotations

import pytest

from napari_disca.networks.proposal import bundled_sizes, propose_network

SIZES = {"buildings": 0.15, "landcover-5": 1.0, "landcover-5-linknet": 1.0}


@pytest.mark.parametrize(
    ("resolution", "name"),
    [
        (0.03, "buildings"),
        (0.13, "buildings"),
        (0.38, "buildings"),
        (0.4, "landcover-5"),
        (0.6, "landcover-5"),
        (1.0, "landcover-5"),
        (30.0, "landcover-5"),
    ],
)
def test_the_nearest_ratio_is_proposed(resolution, name):
    assert propose_network(resolution, SIZES).name == name


def test_the_line_tells_all_sizes():
    assert propose_network(0.13, SIZES).reason == (
        "buildings is for 0.15 m; this image has 0.13 m; landcover-5 is for 1 m"
    )
    assert "no bundled network is near" in propose_network(10.0, SIZES).reason
    assert "no bundled network is near" in propose_network(0.02, SIZES).reason


def test_an_image_without_a_resolution_keeps_the_usual_network():
    proposal = propose_network(None, SIZES)
    assert proposal.name == "landcover-5"
    assert "not known" in proposal.reason
    assert "buildings is for 0.15 m" in proposal.reason


def test_another_choice_is_told_what_may_fit_better():
    proposal = propose_network(0.13, SIZES)
    assert proposal.hint("buildings") == proposal.reason
    assert proposal.hint("landcover-5").startswith("buildings may fit better")


def test_networks_without_a_size_and_no_networks_at_all():
    assert propose_network(0.1, {"mine": None, "landcover-5": None}).name == "landcover-5"
    assert propose_network(0.1, {}).name == "landcover-5"


def test_the_bundled_networks_are_proposed_by_their_cards():
    sizes = bundled_sizes()
    assert propose_network(0.13, sizes).name == "buildings"
    assert propose_network(1.0, sizes).name == "landcover-5"
