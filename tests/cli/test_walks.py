"""`predict` takes the way that docs/architecture.md tells."""

from __future__ import annotations

from walks import WALKS, following

PREDICT = "`napari-disca predict`"


def test_predict_takes_its_walk(run, files, tmp_path):
    with following() as calls:
        result = run("predict", files.image, "-o", tmp_path / "m.tif", "--weights", files.weights)
    assert result.code == 0, result.err
    assert calls.order(PREDICT) == WALKS[PREDICT]
