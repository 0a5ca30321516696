"""Saves and restores checkpoints of a training, in one safetensors file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from napari_disca.core.errors import DataError, one_line, out_of_memory, shortened
from napari_disca.networks import Card, Network, write_tensors
from napari_disca.training.plan import LabelledImage, TrainingPlan

_HINT = "repeat them, remove the file to start again, or choose another output file"
#: Bytes of an image's pixels in its fingerprint, which has all of its labels.
_SAMPLE = 16 << 20
#: Most images that a message names.
_NAMED = 3


def checkpoint_path(output: str | os.PathLike[str]) -> Path:
    """Return the path of the checkpoint of a training: beside its output."""
    path = Path(output)
    return path.with_name(f"{path.stem}.checkpoint.safetensors")


@dataclass(frozen=True)
class TrainingInputs:
    """The settings and data of a training as text; equal for equal trainings.

    Attributes
    ----------
    plan, card : str
        JSON.
    data : str
        JSON: fingerprint of each image and its labels, by name.
    reading : str
        JSON: flags of how images are read.
    """

    plan: str
    card: str
    data: str
    reading: str = "{}"

    @classmethod
    def of(
        cls,
        images: Sequence[LabelledImage],
        card: Card,
        plan: TrainingPlan,
        reading: Mapping[str, str] | None = None,
    ) -> TrainingInputs:
        """Return the settings and data of a training."""
        data: dict[str, str] = {}
        for index, item in enumerate(images):
            name = item.name or f"image {index}"
            data[name if name not in data else f"{name} ({index})"] = _fingerprint(item)
        flags = json.dumps(dict(reading or {}))
        return cls(json.dumps(asdict(plan)), card.to_json(), json.dumps(data), flags)

    def difference(self, then: Mapping[str, str]) -> str:
        """Return how a checkpoint's header differs, in words; empty if it does not.

        Parameters
        ----------
        then : mapping of str to str
            The header.
        """
        before, now = _table(then.get("reading")), _table(self.reading)
        # First, since pixels and labels follow from it. Checkpoints of version 0.1 lack it.
        if before and before != now:
            flags = "; ".join(_changed(before, now))
            return f"was trained with images read otherwise: {flags}; {_HINT}"
        before, now = _table(then.get("data")), _table(self.data)
        if before != now:
            return f"was trained with other images: {_images_changed(before, now)}; {_HINT}"
        before, now = _table(then.get("plan")), _table(self.plan)
        changed = _changed(before, now)
        # After the images, from which the card's mean and deviation are computed.
        changed += _changed(_table(then.get("card")), _table(self.card))
        if not changed and then.get("card") == self.card:
            return ""
        return f"was trained with other options: {'; '.join(changed) or 'its card'}; {_HINT}"


def save_checkpoint(
    path: Path,
    network: Network,
    average: AveragedModel,
    optimiser: torch.optim.AdamW,
    inputs: TrainingInputs,
    step: int,
) -> None:
    """Write a checkpoint of a training after some steps.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.module.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_tensors(tensors, path, {"step": str(step), **asdict(inputs)})


def restore_checkpoint(
    path: Path,
    network: Network,
    average: AveragedModel,
    optimiser: torch.optim.AdamW,
    inputs: TrainingInputs,
) -> int:
    """Load a checkpoint if there is one.

    Returns
    -------
    int
        The step to continue from; 0 without a checkpoint.

    Raises
    ------
    DataError
        If it cannot be read, or belongs to a training with other settings or data.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read: {one_line(error)}; remove it to start again"
        ) from error
    difference = inputs.difference(header)
    if difference:
        raise DataError(f"{path.name} {difference}")
    try:
        tensors = load_file(path)
        network.load_state_dict(_under("network.", tensors))
        average.module.load_state_dict(_under("average.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict(
            {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
        )
        step = int(header["step"])
        average.n_averaged.fill_(step)
        return step
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise DataError(
            f"{path.name} is not a checkpoint of this training; remove it to start again"
        ) from error


def _fingerprint(item: LabelledImage) -> str:
    """Return a short hash of an image's labels, weight, and a sample of its pixels."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{item.image.shape} {item.image.dtype} {item.weight!r}".encode())
    step = max(1, item.image.nbytes // _SAMPLE)
    for rows in (item.labels, item.image[::step]):
        # Row by row: they may be mapped files that do not fit into memory.
        for row in rows:
            digest.update(np.ascontiguousarray(row).tobytes())
    return digest.hexdigest()


def _table(text: str | None) -> dict[str, Any]:
    try:
        table = json.loads(text or "{}")
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def _images_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    parts = []
    for names, verb in (
        (now.keys() - before.keys(), "added"),
        (before.keys() - now.keys(), "gone"),
        ({name for name in now.keys() & before.keys() if now[name] != before[name]}, "changed"),
    ):
        if names:
            first = ", ".join(sorted(names)[:_NAMED])
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            parts.append(f"{first}{more} {'is' if len(names) == 1 else 'are'} {verb}")
    return f"{', '.join(parts)} ({len(before)} then, {len(now)} now)"


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], under: str = "") -> list[str]:
    """Return the fields that differ, each with its old and new value."""
    found = []
    for key in sorted(before.keys() | now.keys()):
        was, given = before.get(key), now.get(key)
        if isinstance(was, dict) and isinstance(given, dict):
            found += _changed(was, given, f"{under}{key} ")
        elif was != given:
            found.append(f"{under}{key} was {_short(was)}, now {_short(given)}")
    return found


def _short(value: object) -> str:
    return shortened(json.dumps(value), 60)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
