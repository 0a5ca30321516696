"""Settings of a training, and its images."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_disca.training.augment import Augmentation
from napari_disca.training.clicking import Clicking


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image with labels.

    Attributes
    ----------
    image : (height, width, bands) array of uint8 or int16
        Scaled values times 255; int16 if some lie outside 0 ... 1.
    labels : (height, width) array of uint8
        Class ids, 255 where unknown.
    weight : float
        Probability of being drawn, relative to other images, per pixel.
    name : str
        For messages.
    """

    image: NDArray[np.uint8] | NDArray[np.int16]
    labels: NDArray[np.uint8]
    weight: float = 1.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Settings of a training.

    Parameters
    ----------
    steps, batch, size : int
        Optimiser steps, crops per step, side of a crop in pixels.
    rate, decay : float
        Peak learning rate and weight decay of AdamW; the rate warms up and falls to zero as a
        cosine.
    average : float
        Decay of the running average of the weights, which the training returns.
    bfloat16 : bool
        Use bfloat16 autocast for the forward pass.
    seed : int
    augmentation : Augmentation
        Settings of the random views.
    clicking : Clicking
        Settings of the clicks.
    """

    steps: int = field(default=4000, metadata={"min": 1, "tooltip": "Optimiser steps"})
    batch: int = field(default=8, metadata={"min": 1, "tooltip": "Crops per step"})
    size: int = field(default=256, metadata={"min": 32, "tooltip": "Side of a crop, pixels"})
    rate: float = field(
        default=1e-3, metadata={"min": 1e-9, "max": 1.0, "tooltip": "Peak learning rate of AdamW"}
    )
    decay: float = field(
        default=1e-4, metadata={"min": 0.0, "max": 1.0, "tooltip": "Weight decay of AdamW"}
    )
    average: float = field(
        default=0.998,
        metadata={"min": 0.0, "max": 0.99999, "tooltip": "Decay of the average of the weights"},
    )
    bfloat16: bool = field(
        default=True,
        metadata={
            "tooltip": "Forward pass in bfloat16; where the device has it, if not given",
            "names_default": True,
        },
    )
    seed: int = field(
        default=0,
        metadata={"min": 0, "tooltip": "Of the initial weights, the crops and the clicks"},
    )
    augmentation: Augmentation = field(default_factory=Augmentation)
    clicking: Clicking = field(default_factory=Clicking)
