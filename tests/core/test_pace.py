from __future__ import annotations

import pytest

from napari_disca.core.events import Progress
from napari_disca.core.pace import Pace, duration


def test_the_time_left_is_that_of_the_steps_so_far():
    pace = Pace()
    assert pace.see(Progress("training", 900, 1000), 0.0)
    assert pace.left(Progress("training", 900, 1000), 0.5) is None
    assert not pace.see(Progress("training", 910, 1000), 20.0)
    assert pace.left(Progress("training", 910, 1000), 20.0) == 180.0
    assert pace.left(Progress("training", 910, 1000), 21.0) == 179.0
    assert pace.words(Progress("training", 910, 1000), 21.0) == "about 3 min left"
    assert pace.see(Progress("saving", 0, 3), 30.0)
    assert pace.stage == "saving"
    assert pace.words(Progress("saving", 3, 3), 40.0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
