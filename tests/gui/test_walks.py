"""A click and *Adapt* take the way that docs/architecture.md tells."""

from __future__ import annotations

import pytest

from walks import WALKS, following


@pytest.fixture
def calls():
    """What is called; asked for before the window, so that its threads are followed."""
    with following() as found:
        yield found


def test_a_click_and_adapt_take_their_walks(calls, opened):
    calls.forget()
    opened.viewer.layers["Clicks"].add((40, 50))
    opened.idle()
    assert calls.order("A click") == WALKS["A click"]
    calls.forget()
    opened.panel.refine_panel.buttons["adapt"].click()
    opened.idle()
    assert calls.order("*Adapt*") == WALKS["*Adapt*"]
