"""What docs/formats.md says of masks."""

from __future__ import annotations

import re
from pathlib import Path

from napari_disca.training.mask_codings import CODINGS

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
MASKS = TEXT[TEXT.index("## Masks") :].partition("\n## ")[0]


def test_every_coding_is_told():
    found: list[str] = re.findall(r"^\| `([a-z0-9-]+)` \|", MASKS, re.MULTILINE)
    assert found == list(CODINGS)
