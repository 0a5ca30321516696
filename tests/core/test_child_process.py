"""Processes that read files for this program: request, answer and limits."""

import subprocess

import numpy as np
import pytest

from napari_disca.core.child_process import answer_of_script, json_value

SCRIPT = """
from napari_disca.core.child_process import limit_process, taken_output, taken_request

answers = taken_output()
limit_process(1 << 40)
print("what a library prints")
request = taken_request()
if request == "wait":
    import time
    time.sleep(60)
answers.write(repr(request).encode())
answers.flush()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def test_a_script_gets_the_request_and_only_its_answer_returns(script):
    request = {"path": "name with a lone surrogate \udcff"}
    assert answer_of_script(script, request, seconds=60) == repr(request).encode()


def test_a_script_that_takes_too_long_is_ended(script):
    with pytest.raises(subprocess.TimeoutExpired):
        answer_of_script(script, "wait", seconds=0.5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.nan, None),
        (np.int64(-7), -7),
        (1 << 70, "11805"),
        (True, True),
        (None, None),
        (np.datetime64("2020-01-02"), "2020-"),
        ("a long text", "a lon"),
    ],
)
def test_attributes_become_values_that_json_can_hold(value, expected):
    assert json_value(value, 5) == expected
