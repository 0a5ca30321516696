"""A correction of the whole map in function space: clicks correct pixels with similar features.

Eq. 1 of Lenczner et al. (2020) looks for weights whose prediction is right at the clicks and stays
near the first prediction p0 elsewhere. Solved for the function instead of for weights, it is
Gaussian process regression with the network's own logits as the mean::

    z(x) = z_DISIR(x) + strength * r(x)        r(x) = sum_j k(phi(x), phi(a_j)) alpha_j
    k(u, v) = exp(beta (cos(u, v) - 1))

with phi the encoder's features, standardised over the image, and a_j the clicks and *anchors*,
pixels at which the map is held to p0. Two limits apply:

- only *transitions* that were clicked: a pixel of class u in p0 can become v only if somebody
  clicked v on a pixel that is u in p0;
- logits are only raised, and only those of such classes v.

`napari_disca.recipes.function_space` computes alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_disca.core.tiling import Window
from napari_disca.inference.composition import Answer, Source, TileBatch, guided_logits
from napari_disca.networks import Features, Network


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSpace:
    """Standardisation of an image's features to unit vectors, whose cosines are compared.

    Attributes
    ----------
    mean, weight : (d,) tensor of float32
        Of the image's features; a standardised feature is ``(f - mean) * weight``.
    """

    mean: Tensor
    weight: Tensor

    @classmethod
    def of(cls, features: Tensor, groups: Sequence[int]) -> FeatureSpace:
        """Return the space that a sample of one image's features defines.

        Parameters
        ----------
        features : (n, d) tensor
            A sample of the image.
        groups : sequence of int
            Channels of each of the encoder's stages, whose sum is `d`. Every stage gets the same
            weight. Empty: there is one stage.
        """
        spread, mean = torch.std_mean(features.float(), dim=0)
        stages = groups or (features.shape[1],)
        size = torch.cat([torch.full((count,), float(count)) for count in stages])
        # A constant channel carries no information, and its spread would be divided by.
        weight = torch.where(spread > 1e-6, 1 / (spread.clamp(min=1e-6) * size.sqrt()), 0.0)
        return cls(mean, weight)

    def unit(self, features: Tensor) -> Tensor:
        """Standardise features ``(B, d, h, w)``, and scale them to unit vectors in float32."""
        mean, weight = (v.to(features.device).view(1, -1, 1, 1) for v in (self.mean, self.weight))
        return F.normalize((features.float() - mean) * weight, dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What is added to a network's logits in the whole image; see the module for the formulas.

    Attributes
    ----------
    space : FeatureSpace
    points : (m, d) tensor of float32
        Features of clicks and anchors as unit vectors: phi(a_j).
    coefficients : (m, classes) tensor of float32
        alpha_j.
    sharpness : float
        beta.
    transitions : (classes, classes) tensor of bool
        ``[u, v]``: whether v was clicked where the pretrained network says u.
    strength : float
    """

    space: FeatureSpace
    points: Tensor
    coefficients: Tensor
    sharpness: float
    transitions: Tensor
    strength: float = 1.0

    @property
    def empty(self) -> bool:
        """Whether it changes no logit of any image."""
        return self.strength == 0 or not bool(self.transitions.any())

    def with_strength(self, strength: float) -> Correction:
        """Return the same correction with another strength."""
        return replace(self, strength=strength)

    def residual(self, features: Tensor) -> Tensor:
        """Return r(x) at every cell of a grid of features.

        Parameters
        ----------
        features : (B, d, h, w) tensor
            Of `Network.similarity_features`.

        Returns
        -------
        (B, classes, h, w) tensor of float32
        """
        with torch.autocast(features.device.type, enabled=False):
            unit = self.space.unit(features)
            points = self.points.to(unit.device)
            kernel = torch.exp(self.sharpness * (F.conv2d(unit, points[:, :, None, None]) - 1))
            return F.conv2d(kernel, self.coefficients.T[:, :, None, None].to(unit.device))

    def change(self, features: Tensor, plain: Tensor, box: Window, stride: int) -> Tensor:
        """Return what is added to the logits of a window.

        Parameters
        ----------
        features : (B, d, h, w) tensor
            Of `Network.similarity_features`, of the padded input.
        plain : (B, classes, box.height, box.width) tensor
            The pretrained network's logits without clicks: p0.
        box : Window
            The window, relative to the input's top-left corner.
        stride : int
            Pixels of the input for one cell of `features`.

        Returns
        -------
        (B, classes, box.height, box.width) tensor of float32
            Not negative, and zero for classes that no transition allows.
        """
        residual = self.residual(features)
        residual = F.interpolate(residual, scale_factor=stride, mode="bilinear")[(..., *box.slices)]
        first = plain.argmax(dim=1, keepdim=True)
        raised = (residual - residual.gather(1, first)).clamp(min=0)
        allowed = self.transitions.to(plain.device)[first[:, 0]].permute(0, 3, 1, 2)
        return self.strength * raised * allowed


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedAnswer:
    """Composes the logits of the pretrained network, which reads the clicks, with a correction.

    Attributes
    ----------
    plain : Source
        The pretrained network under the fingerprint of the run: corrected logits are cached.
    pretrained : Source
        The same network under its own fingerprint.
    correction : Correction
    """

    plain: Source
    pretrained: Source
    correction: Correction

    @property
    def fallback(self) -> Source | None:
        """None: the corrected logits count everywhere."""
        return None

    def compose(self, tiles: TileBatch) -> Answer:
        """See `AnswerComposer`."""
        logits, change = tiles.run(self.plain, guided=False, decode=self._decode, condensed=True)
        if tiles.clicked:
            logits = guided_logits(tiles, self.pretrained)
        return Answer(logits.float() + change)

    def _decode(self, network: Network, features: Features, box: Window) -> tuple[Tensor, ...]:
        plain = network.decode_window(features, box)
        similar = network.similarity_features(features)
        return plain, self.correction.change(similar, plain, box, network.similarity_stride)


def kernel(points: Tensor, others: Tensor, sharpness: float) -> Tensor:
    """Kernel ``exp(beta (cos - 1))`` of unit vectors ``(n, d)`` and ``(m, d)``: ``(n, m)``."""
    return torch.exp(sharpness * (points @ others.T - 1))
