"""What was measured about this machine, once, and kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import platformdirs
import torch

from napari_disca.core.errors import DiscaError
from napari_disca.storage.atomic import replacing

#: bfloat16 rounds, so it has to be clearly faster to be chosen.
_WORTH_IT = 1.2


def bfloat16_pays() -> bool:
    """Whether the CPU's bfloat16 is clearly faster than its float32.

    Measured in a quarter of a second at the first use on a machine, then read from the user's
    state folder.
    """
    key = f"{_processor()}, torch {torch.__version__}"
    kept = _read()
    speedup = kept.get(key)
    if not isinstance(speedup, float):
        speedup = round(bfloat16_speedup(), 2)
        try:
            with replacing(_file()) as temporary:
                temporary.write_text(json.dumps({**kept, key: speedup}, indent=0), "utf-8")
        except DiscaError:
            pass  # it is measured again the next time
    return speedup >= _WORTH_IT


@torch.inference_mode()
def bfloat16_speedup(rounds: int = 8) -> float:
    """How many times faster a convolution of the networks runs in bfloat16 than in float32.

    The best of some turns on one thread: what else the machine does changes that least.
    """
    best: dict[torch.dtype, float] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(rounds):
            for dtype in (torch.float32, torch.bfloat16):
                pixels = torch.ones(1, 64, 96, 96, dtype=dtype)
                weight = torch.ones(64, 64, 3, 3, dtype=dtype)
                pixels = pixels.to(memory_format=torch.channels_last)
                weight = weight.to(memory_format=torch.channels_last)
                began = time.perf_counter()
                torch.conv2d(pixels, weight, padding=1)
                seconds = time.perf_counter() - began
                best[dtype] = min(seconds, best.get(dtype, seconds))
    finally:
        torch.set_num_threads(threads)
    return best[torch.float32] / max(best[torch.bfloat16], 1e-9)


def _processor() -> str:
    return str(torch.cpu.get_capabilities().get("cpu_name") or "CPU")


def _file() -> Path:
    return Path(platformdirs.user_state_dir("napari-disca", appauthor=False)) / "machine.json"


def _read() -> dict[str, float]:
    try:
        kept = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}
