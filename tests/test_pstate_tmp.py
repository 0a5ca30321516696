import sys

sys.path.insert(0, "tests")

import test_stateful as t


def test_x(machine):
    t.check(machine, examples=40, steps=30)


machine = t.machine
