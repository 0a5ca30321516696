"""Another kind of step takes one class and one line: journaled, replayed, taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from builders import make_tiny_network
from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import DiscaError
from napari_disca.raster import open_raster
from napari_disca.session.document import Document
from napari_disca.session.journal.journal import Journal
from napari_disca.session.restore import DamagedLineError, header_of, replay
from napari_disca.session.session import Session
from napari_disca.session.steps.action_table import ACTIONS


@dataclass(frozen=True)
class Verdicts:
    """Regions that the user has accepted or rejected."""

    regions: tuple[tuple[int, bool], ...] = ()


@dataclass(frozen=True)
class Judge:
    region: int
    accepted: bool
    kind: ClassVar[str] = "verdict"

    def applied(self, step, facts):
        if self.region < 0:
            raise DiscaError(f"there is no region {self.region}")
        before = step.value(Verdicts).regions
        if (self.region, self.accepted) in before:
            return step
        return step.with_value(Verdicts((*before, (self.region, self.accepted)))).titled(
            f"{'accept' if self.accepted else 'reject'} a region"
        )

    def fields(self, before, after):
        return {"region": self.region, "accepted": self.accepted}

    @classmethod
    def read(cls, fields, step):
        return cls(int(fields["region"]), bool(fields["accepted"]))


@pytest.fixture
def session(monkeypatch, compute):
    monkeypatch.setitem(ACTIONS, Judge.kind, Judge)
    pixels = np.zeros((40, 50, 3), np.uint8)
    return Session(open_raster(pixels), make_tiny_network(), compute=compute)


def test_a_step_of_ones_own_is_taken_back_and_done_again(session):
    signals = []
    session.document.value_changed.connect(signals.append)
    session.document.click(3, 4, 1)
    assert session.document.do(Judge(7, True))
    assert not session.document.do(Judge(7, True)), "nothing changes, so there is no step"
    assert session.document.do(Judge(8, False))
    both = Verdicts(((7, True), (8, False)))
    assert session.document.step.value(Verdicts) == both
    assert session.document.clicks.items == (Click(3, 4, 1),), "what it says nothing about stays"
    assert session.document.undo() == "reject a region"
    assert session.document.step.value(Verdicts) == Verdicts(((7, True),))
    assert session.document.redo() == "reject a region"
    session.document.go(0)
    assert session.document.step.value(Verdicts) == Verdicts()
    one = Verdicts(((7, True),))
    assert signals == [one, both, one, both, Verdicts()]


def test_an_impossible_one_changes_nothing(session):
    with pytest.raises(DiscaError):
        session.document.do(Judge(-1, True))
    assert len(session.document.history) == 1


def test_it_is_in_the_journal_and_comes_back(session, tmp_path):
    path = tmp_path / "own.disca.jsonl"
    session.keep(Journal.begin(path, header_of(session, "")))
    session.document.do(Judge(7, True))
    session.document.click(3, 4, 1)
    session.document.do(Judge(8, False))
    session.document.undo()
    session.close()
    again = replay(path, session.raster, session.network, cache=False)
    assert again.document.step.value(Verdicts) == Verdicts(((7, True),))
    assert [step.title for step in again.document.history] == [
        step.title for step in session.document.history
    ]
    assert again.document.position == session.document.position


def test_a_line_that_makes_no_sense_is_named(session, tmp_path):
    path = tmp_path / "own.disca.jsonl"
    session.keep(Journal.begin(path, header_of(session, "")))
    session.document.do(Judge(7, True))
    session.close()
    path.write_text(path.read_text().replace('"region":7,', ""))
    with pytest.raises(DamagedLineError, match=r"line 2.*lacks 'region'"):
        replay(path, session.raster, session.network, cache=False)


def test_a_document_needs_no_image():
    document = Document((40, 50), make_tiny_network().card.classes)
    document.click(1, 2, 0)
    document.do(Judge(1, True))
    document.undo()
    assert len(document.clicks) == 1
