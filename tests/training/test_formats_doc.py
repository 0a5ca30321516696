from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
MASKS = TEXT[TEXT.index("## Masks") :].partition("\n## ")[0]


def test_the_example_of_the_masks_runs(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", MASKS, flags=re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_coding_is_told():
    from napari_disca.training.mask_codings import CODINGS

    found: list[str] = re.findall(r"^\| `([a-z0-9-]+)` \|", MASKS, re.MULTILINE)
    assert found == list(CODINGS)


@pytest.mark.parametrize("name", ["NOTICE", "licences/Apache-2.0.txt"])
def test_the_terms_of_what_comes_along_are_shipped(name):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert name in project["project"]["license-files"]
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert name.partition("/")[0] in included
    assert (ROOT / name).is_file()


def test_the_notice_names_the_encoder_that_networks_hold():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for words in ("EfficientNet-Lite0", "Apache License, Version 2.0", "lite-unet", "0.1.0"):
        assert words in notice
