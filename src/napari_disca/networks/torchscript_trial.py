"""How a TorchScript program wants to be called and what it answers, found by trying it.

People's programs take one tensor or two, answer with a tensor, a dictionary or a tuple, with
logits or with what a sigmoid made of them, at the size of the input or at a part of it, and some
accept only the size that they were traced with. A card may say each of these; what it does not say
is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_disca.core.errors import CardError, out_of_memory

#: ``"two"``: ``module(image, guidance)``; ``"stacked"``: ``module(cat([image, guidance]))``;
#: ``"image"``: ``module(image)``, a network that cannot see clicks.
Inputs: TypeAlias = Literal["two", "stacked", "image"]
#: What the numbers of the answer are.
Answer: TypeAlias = Literal["logits", "probabilities"]

#: Names under which dictionaries hold the logits, the likeliest first.
_KEYS = ("out", "logits", "output", "pred", "main", "seg", "mask", "masks", "semantic")
#: A program that works with twice and three times one of these takes every multiple of it.
_MULTIPLES = (32, 64, 128, 256)
#: Sides that programs are traced with.
_FIXED = (
    *(256, 512, 224, 320, 384, 448, 640, 768, 1024, 64, 128),
    *(300, 400, 480, 500, 513, 518, 600, 1000),
)
#: What an interpreter says of a call with other arguments than a program has.
_ARGUMENTS = ("expected at most", "missing value for argument", "Expected a value of type")
#: Logits of one part in so many rows and columns are enlarged.
_COARSEST = 32
#: Noise this strong drives logits far beyond 0 ... 1, and a sigmoid only to its ends.
_LOUD = 30.0
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Interface:
    """How a program is called and what it answers.

    Attributes
    ----------
    inputs : {"two", "stacked", "image"}
    key : str or int or None
        Where in a dictionary or tuple the logits are; None: the answer itself.
    answer : {"logits", "probabilities"}
    positive : int
        Which of two classes the only channel of an answer stands for.
    multiple : int
        Inputs are padded to a multiple of this.
    size : (int, int) or None
        The only height and width that it accepts.
    single : bool
        Only one image at a time.
    """

    inputs: Inputs = "two"
    key: str | int | None = None
    answer: Answer = "logits"
    positive: int = 1
    multiple: int = 32
    size: tuple[int, int] | None = None
    single: bool = False

    def call(self, module: Callable[..., Any], image: Tensor, guidance: Tensor) -> Any:
        """Answer of the program."""
        if self.inputs == "two":
            return module(image, guidance)
        if self.inputs == "stacked":
            return module(torch.cat([image, guidance.to(image.dtype)], dim=1))
        return module(image)

    def logits(self, answer: Any, classes: int, shape: tuple[int, int]) -> Tensor:
        """Logits of every class at the input's size.

        Raises
        ------
        CardError
            If the answer is something else.
        """
        found = _tensor(answer, self.key)
        if found.ndim == 3 and classes == 2 and found.is_floating_point():
            found = found.unsqueeze(1)  # of the only channel people often drop the axis
        if found.ndim != 4 or not found.is_floating_point():
            hint = "" if found.is_floating_point() else "; export it without its argmax"
            raise CardError(f"{_said(answer)}, not logits of every class and pixel{hint}")
        if found.shape[1] == 1 and classes == 2:
            found = self._of_one_channel(found)
        elif self.answer == "probabilities":
            found = torch.log(found.clamp(min=_SMALLEST))
        if found.shape[1] != classes:
            raise _OtherClassesError(_said(answer))
        if tuple(found.shape[-2:]) != shape:
            if not _is_part(tuple(found.shape[-2:]), shape):
                raise CardError(_said(answer))
            found = F.interpolate(found, size=shape, mode="bilinear", align_corners=False)
        return found

    def _of_one_channel(self, found: Tensor) -> Tensor:
        if self.answer == "probabilities":
            found = torch.logit(found, eps=_SMALLEST)
        # Half to either side: a softmax of the two is the sigmoid of the one.
        pair = [found / 2, -found / 2] if self.positive == 0 else [-found / 2, found / 2]
        return torch.cat(pair, dim=1)


def checked_options(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a card says of the interface.

    Parameters
    ----------
    options : mapping
        The card's: ``inputs``, ``key``, ``answer``, ``positive``, ``size``, ``multiple``.
    name : str
        Of the card, for messages.

    Raises
    ------
    CardError
        If an option is unknown or impossible.
    """
    said = dict(options)
    for key, choices in (("inputs", get_args(Inputs)), ("answer", get_args(Answer))):
        if key in said and said[key] not in choices:
            raise CardError(f"{key} = {said[key]!r} is unknown; use {_listed(choices)}")
    if "key" in said and type(said["key"]) not in (str, int):
        raise CardError(f"key = {said['key']!r} is neither a name nor a number")
    if said.get("positive", 1) not in (0, 1) or isinstance(said.get("positive"), bool):
        raise CardError(f"positive = {said['positive']!r} is not 0 or 1")
    if "multiple" in said and not _is_side(said["multiple"]):
        raise CardError(f"multiple = {said['multiple']!r} is no number of pixels")
    if "size" in said:
        size = said["size"]
        sides = size if isinstance(size, list | tuple) else (size, size)
        if len(sides) != 2 or not all(map(_is_side, sides)):
            raise CardError(f"size = {size!r} is not a side in pixels, or a height and a width")
        said["size"] = tuple(sides)
    unknown = said.keys() - {"inputs", "key", "answer", "positive", "size", "multiple"}
    if unknown:
        raise CardError(f"card {name!r} has wrong options: {', '.join(sorted(map(str, unknown)))}")
    return said


def find_interface(
    module: Callable[..., Any], bands: int, classes: int, said: Mapping[str, Any]
) -> Interface:
    """Try a program until it answers with logits.

    Parameters
    ----------
    module : callable
    bands, classes : int
        That its card promises.
    said : mapping
        What the card says of its interface; see `checked_options`.

    Raises
    ------
    CardError
        If no way to call it works: what it answered, or why it failed, when first tried.
    """
    trial = _Trial(module, bands, classes)
    errors: list[CardError] = []
    for interface in _candidates(said):
        if any(isinstance(e, _OtherClassesError) and e.inputs == interface.inputs for e in errors):
            continue  # of another size it would have as many classes
        sides = interface.size or (interface.multiple * 2,) * 2
        try:
            found = trial.settled(interface, sides, said)
        except CardError as error:
            if isinstance(error, _OtherClassesError):
                error.inputs = interface.inputs
            errors.append(error)
            continue
        if interface.size is None and "multiple" not in said:
            try:
                trial.settled(interface, (3 * interface.multiple,) * 2, said)
            except CardError:
                continue
        return replace(found, single=not trial.takes_two(found, sides))
    # What it answered says more than why it failed, and that more than which arguments it has.
    answered = (error for error in errors if not str(error).startswith("fails"))
    inside = (error for error in errors if not any(text in str(error) for text in _ARGUMENTS))
    raise next(answered, next(inside, errors[0]))


class _OtherClassesError(CardError):
    """A program has another number of classes than its card.

    Attributes
    ----------
    inputs : str
        How it was called.
    """

    inputs = ""


def _candidates(said: Mapping[str, Any]) -> Iterator[Interface]:
    ways: tuple[Inputs, ...] = (said["inputs"],) if "inputs" in said else get_args(Inputs)
    base = Interface(positive=said.get("positive", 1), key=said.get("key"))
    if "size" in said:
        yield from (replace(base, inputs=way, size=said["size"]) for way in ways)
        return
    if "multiple" in said:
        yield from (replace(base, inputs=way, multiple=said["multiple"]) for way in ways)
        return
    for multiple in _MULTIPLES:
        yield from (replace(base, inputs=way, multiple=multiple) for way in ways)
    for side in _FIXED:
        yield from (replace(base, inputs=way, size=(side, side)) for way in ways)


class _Trial:
    """A program and what it is tried with."""

    def __init__(self, module: Callable[..., Any], bands: int, classes: int) -> None:
        self._module = module
        self._bands = bands
        self._classes = classes

    def settled(
        self, interface: Interface, sides: tuple[int, int], said: Mapping[str, Any]
    ) -> Interface:
        """Interface with what the answer to a trial shows."""
        answer = self._answer(interface, sides, 1.0)
        found = interface
        if interface.key is None and not isinstance(answer, Tensor):
            found = replace(found, key=_key(answer, self._classes))
        given = _tensor(answer, found.key)
        if given.is_floating_point() and torch.isnan(given).any():
            raise CardError("answers numbers that are none (NaN)")
        if "answer" in said:
            found = replace(found, answer=said["answer"])
        elif _are_probabilities(given):
            loud = _tensor(self._answer(interface, sides, _LOUD), found.key)
            if _are_probabilities(loud):
                found = replace(found, answer="probabilities")
        if len(found.logits(answer, self._classes, sides)) != 1:
            raise CardError(f"{_said(answer)} to one image")
        return found

    def takes_two(self, interface: Interface, sides: tuple[int, int]) -> bool:
        """Whether two images at a time give what each gives alone."""
        try:
            answer = self._answer(interface, sides, 1.0, batch=2)
            both = interface.logits(answer, self._classes, sides)
            return both.shape[0] == 2
        except CardError:
            return False

    def _answer(
        self, interface: Interface, sides: tuple[int, int], loudness: float, batch: int = 1
    ) -> Any:
        noise = torch.Generator().manual_seed(0)
        image = torch.randn(batch, self._bands, *sides, generator=noise) * loudness
        guidance = torch.zeros(batch, self._classes, *sides)
        with torch.no_grad():
            return run(lambda: interface.call(self._module, image, guidance))


def run(call: Callable[[], Any]) -> Any:
    """Answer of a program, whose every error is one line.

    Raises
    ------
    CardError
        If it fails; a full memory is told as such.
    """
    try:
        # The optimiser would change a tile's last digits with the number of tiles before it.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return call()
    except Exception as error:  # whatever is in a program, and torch has no list of it
        if out_of_memory(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else type(error).__name__
        raise CardError(f"fails: {reason[:200]}") from error


def _tensor(answer: Any, key: str | int | None) -> Tensor:
    try:
        found = answer if key is None else answer[key]
    except (KeyError, IndexError, TypeError):
        raise CardError(f"{_said(answer)}, where there is no {key!r}") from None
    if not isinstance(found, Tensor):
        raise CardError(_said(answer))
    return found


def _key(answer: Any, classes: int) -> str | int | None:
    """Where in an answer the logits are: what is called so, else the largest that may be.

    Raises
    ------
    CardError
        If several are as large as each other, of which nobody can tell which is meant.
    """
    if isinstance(answer, Mapping):
        pairs = list(answer.items())
    elif isinstance(answer, tuple | list):
        pairs = list(enumerate(answer))
    else:
        return None
    sizes = {key: v.shape[-2] * v.shape[-1] for key, v in pairs if _may_be_logits(v, classes)}
    named = next((key for key in _KEYS if key in sizes), None)
    if named is not None or not sizes:
        return named
    largest = [key for key, size in sizes.items() if size == max(sizes.values())]
    if len(largest) > 1:
        raise CardError(
            f"{_said(answer)}, of which {', '.join(str(k)[:20] for k in largest[:6])} may be the "
            'logits: say which in the card\'s options, as "key"'
        )
    found: str | int = largest[0]
    return found


def _may_be_logits(value: Any, classes: int) -> bool:
    if not isinstance(value, Tensor) or value.ndim != 4 or not value.is_floating_point():
        return False
    return value.shape[1] == classes or (value.shape[1] == 1 and classes == 2)


def _are_probabilities(found: Tensor) -> bool:
    if not found.is_floating_point() or found.ndim not in (3, 4) or not torch.isfinite(found).all():
        return False
    if float(found.min()) < 0 or float(found.max()) > 1:
        return False
    if found.ndim == 3 or found.shape[1] == 1:
        return True
    sums = found.sum(dim=1)
    return bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-3))


def _is_part(small: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Whether a size is a whole part of another, the same along both axes."""
    if 0 in small:
        return False
    down, across = (round(full / part) for full, part in zip(shape, small, strict=True))
    whole = all(s in (n // down, -(-n // down)) for n, s in zip(shape, small, strict=True) if down)
    return 1 < down == across <= _COARSEST and whole


def _said(answer: Any) -> str:
    if isinstance(answer, Tensor):
        return f"answers {tuple(answer.shape)} of {str(answer.dtype).removeprefix('torch.')}"
    if isinstance(answer, Mapping):
        return f"answers a dictionary with {', '.join(str(k)[:20] for k in list(answer)[:6])}"
    if isinstance(answer, tuple | list):
        return f"answers {len(answer)} things"
    return f"answers {type(answer).__name__}"


def _is_side(value: object) -> bool:
    return type(value) is int and 1 <= value <= 8192


def _listed(choices: tuple[str, ...]) -> str:
    return " or ".join(map(repr, choices))
