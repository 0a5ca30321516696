import sys

sys.path.insert(0, "tests")
import test_stateful as t, pytest
from hypothesis import strategies as st


def test_x(machine):
    t.check(machine, examples=40, steps=30)


machine = t.machine
