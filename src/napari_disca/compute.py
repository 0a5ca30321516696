"""Where and how networks run: device, precision, threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from napari_disca.errors import DiscaError

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Compute:
    """A device and the number format of the forward pass.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype
        float32, or the half format that autocast uses.
    """

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, device: DeviceName = "auto", precision: Precision = "auto") -> Compute:
        """Best device there is, with the fastest precision it has natively.

        ``"auto"`` is CUDA, else MPS, else the CPU; bfloat16 on CPUs with AVX-512 BF16, AMX or Arm
        BF16 and on CUDA from Ampere on, else float32. In bfloat16 up to 0.5 % of the pixels may
        differ from float32.

        Raises
        ------
        DiscaError
            If the device is not there, or the precision does not run on it.
        """
        if device == "auto":
            device = (
                "cuda"
                if torch.cuda.is_available()
                else "mps"
                if torch.backends.mps.is_available()
                else "cpu"
            )
        there = {
            "cpu": True,
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
        }
        if device not in there:
            raise DiscaError(f"device {device!r} is unknown; use auto, cpu, cuda or mps")
        if not there[device]:
            names = ", ".join(name for name, present in there.items() if present)
            raise DiscaError(f"there is no {device} device on this machine; there is: {names}")
        formats = {
            "float32": torch.float32,
            "bfloat16": torch.bfloat16,
            "float16": torch.float16,
        }
        if precision != "auto" and precision not in formats:
            raise DiscaError(f"precision {precision!r} is unknown; use auto, {', '.join(formats)}")
        if precision == "float16" and device == "cpu":
            raise DiscaError("float16 is slow and imprecise on a CPU; use bfloat16 or float32")
        dtype = formats[_native(device)] if precision == "auto" else formats[precision]
        return cls(torch.device(device), dtype)

    @property
    def batch(self) -> int:
        """Tiles in a forward pass.

        One on a CPU: it is busy with one, and a tile's result must not depend on its company.
        """
        return 8 if self.device.type == "cuda" else 1

    @property
    def last_resort(self) -> bool:
        """Whether there is no device with more memory to go to."""
        return self.device.type == "cpu"

    def on_cpu(self) -> Compute:
        """Return the same precision on the CPU, or float32 where the CPU lacks it."""
        half = self.dtype == torch.bfloat16 and _native("cpu") == "bfloat16"
        return Compute(torch.device("cpu"), torch.bfloat16 if half else torch.float32)

    def free(self) -> None:
        """Give back what torch keeps for later on the device."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the body's matrix work in this precision."""
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype if half else None, enabled=half):
            yield

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}"


def _native(device: str) -> str:
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        names = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")
        if any(capabilities.get(name) for name in names):
            return "bfloat16"
    return "float32"
