"""Measurements of this machine that decide settings; made once and stored."""

from __future__ import annotations

import json
import time
from pathlib import Path

import platformdirs
import torch

from napari_disca.core.errors import DiscaError
from napari_disca.storage.atomic import replacing

#: bfloat16 is less precise, so it is chosen only if it is this many times faster.
_WORTH_IT = 1.2


def bfloat16_is_faster() -> bool:
    """Whether bfloat16 is clearly faster than float32 on this CPU.

    Measured in a quarter of a second at the first use on a machine, then read from the user's
    state folder.
    """
    key = f"{_processor()}, torch {torch.__version__}"
    saved = _read()
    speedup = saved.get(key)
    if not isinstance(speedup, float):
        speedup = round(bfloat16_speedup(), 2)
        try:
            with replacing(_file()) as temporary:
                temporary.write_text(json.dumps({**saved, key: speedup}, indent=0), "utf-8")
        except DiscaError:
            pass  # not stored, so it is measured again the next time
    return speedup >= _WORTH_IT


@torch.inference_mode()
def bfloat16_speedup(rounds: int = 8) -> float:
    """Return how many times faster a convolution runs in bfloat16 than in float32, measured now.

    The quotient of the shortest times of some rounds on one thread, which other programs on the
    machine influence least.
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
        saved = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return saved if isinstance(saved, dict) else {}
