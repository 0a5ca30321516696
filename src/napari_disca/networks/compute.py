"""The device on which networks run, their precision, and the size of batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from napari_disca.core.errors import DiscaError
from napari_disca.core.threads import reuse_freed_memory
from napari_disca.networks.autotune import bfloat16_is_faster

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Compute:
    """A device, the number format of forward passes, and the size of batches.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype
        float32, or the half format that autocast uses.
    batch : int
        Tiles in a forward pass. A batch is always filled up to this size, with zeros, because a
        device may use another algorithm, which rounds differently, for another size. A tile's
        result must not depend on the other tiles of its batch.
    folded : bool
        Whether BatchNorm is folded into convolutions for prediction.
    """

    device: torch.device
    dtype: torch.dtype
    batch: int = 1
    folded: bool = False

    @classmethod
    def choose(cls, device: DeviceName = "auto", precision: Precision = "auto") -> Compute:
        """Return the best available device, with the fastest precision that it has in hardware.

        ``"auto"`` is CUDA, else MPS, else the CPU; bfloat16 on CUDA from Ampere on, and on CPUs
        with AVX-512 BF16, AMX or Arm BF16 if a measurement, made once and stored, shows that it
        is faster; else float32. In bfloat16 up to 0.5 % of the pixels may differ from float32.

        Raises
        ------
        DiscaError
            If the device is not available, or the precision does not run on it.
        """
        if device == "auto":
            device = (
                "cuda"
                if torch.cuda.is_available()
                else "mps"
                if torch.backends.mps.is_available()
                else "cpu"
            )
        devices = {
            "cpu": True,
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
        }
        if device not in devices:
            raise DiscaError(f"device {device!r} is unknown; use auto, cpu, cuda or mps")
        if not devices[device]:
            names = ", ".join(name for name, present in devices.items() if present)
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
        if device == "cpu":
            reuse_freed_memory()
        dtype = formats[_native(device)] if precision == "auto" else formats[precision]
        chosen = torch.device(device)
        if device == "cuda":
            # With its index: every thread begins with device 0, and jobs run on other threads.
            chosen = torch.device("cuda", torch.cuda.current_device())
        return cls(
            chosen,
            dtype,
            batch=_batch(chosen),
            # Folding saves a GPU one pass over memory per layer. On CPUs it was measured to save
            # nothing in float32 and 5 % in bfloat16, where it doubled the pixels that differ.
            folded=device == "cuda",
        )

    @property
    def last_resort(self) -> bool:
        """Whether it is the CPU, after which no other device can be tried when memory is full."""
        return self.device.type == "cpu"

    def on_cpu(self) -> Compute:
        """Return the CPU with the same precision, or float32 if it has no fast bfloat16."""
        half = self.dtype == torch.bfloat16 and _native("cpu") == "bfloat16"
        return Compute(torch.device("cpu"), torch.bfloat16 if half else torch.float32)

    def release_memory(self) -> None:
        """Return memory of the device that torch has reserved but does not use."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Context in which matrix products and convolutions run in this precision."""
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
        if any(capabilities.get(name) for name in names) and bfloat16_is_faster():
            return "bfloat16"
    return "float32"


def _batch(device: torch.device) -> int:
    """Tiles of a batch: one on a CPU, where more are not faster; on a GPU by its memory."""
    if device.type != "cuda":
        return 1
    memory = torch.cuda.get_device_properties(device).total_memory
    return 8 if memory > 12 << 30 else 4 if memory > 6 << 30 else 2
