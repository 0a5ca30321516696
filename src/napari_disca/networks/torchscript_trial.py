"""The interface of a TorchScript program: how it is called and what it returns, found by trials.

Programs take one tensor or two, and return a tensor, a dictionary or a tuple, with logits or
probabilities, at the input's resolution or a coarser one. Some accept only the size that they were
traced with. A card may set each of these; the others are found by calling the program.
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
#: ``"image"``: ``module(image)``, a network that does not read clicks.
Inputs: TypeAlias = Literal["two", "stacked", "image"]
#: Kind of the numbers that a program returns.
Answer: TypeAlias = Literal["logits", "probabilities"]

#: Usual keys of the logits in dictionaries, in the order in which they are looked for.
_KEYS = ("out", "logits", "output", "pred", "main", "seg", "mask", "masks", "semantic")
#: A program that accepts two and three times one of these is taken to accept all multiples.
_MULTIPLES = (32, 64, 128, 256)
#: Usual sides in pixels of images with which programs are traced.
_FIXED = (
    *(256, 512, 224, 320, 384, 448, 640, 768, 1024, 64, 128),
    *(300, 400, 480, 500, 513, 518, 600, 1000),
    *(side for side in range(96, 1025, 32) if side not in (128, 224, 256, 320, 384)),
)
#: Texts of errors about wrong arguments.
_ARGUMENTS = (
    *("expected at most", "missing value for argument", "Expected a value of type"),
    "channels, but got",
)
#: Largest stride of logits, which are then upsampled.
_COARSEST = 32
#: Factor on noise for which logits leave 0 ... 1 by far, but probabilities do not.
_LOUD = 30.0
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Interface:
    """How a program is called and what it returns.

    Attributes
    ----------
    inputs : {"two", "stacked", "image"}
        Which tensors it takes, see `Inputs`.
    key : str or int or None
        Key of the logits in a dictionary or tuple; None: the returned tensor itself.
    answer : {"logits", "probabilities"}
        Kind of the numbers that it returns.
    positive : int
        Which of two classes (0 or 1) a single channel of logits is for.
    multiple : int
        Inputs are padded to a multiple of this.
    size : (int, int) or None
        The only height and width that it accepts; None: every multiple of `multiple`.
    single : bool
        Whether it accepts only one image at a time.
    """

    inputs: Inputs = "two"
    key: str | int | None = None
    answer: Answer = "logits"
    positive: int = 1
    multiple: int = 32
    size: tuple[int, int] | None = None
    single: bool = False

    def call(self, module: Callable[..., Any], image: Tensor, guidance: Tensor) -> Any:
        """Call the program, and return its answer."""
        if self.inputs == "two":
            return module(image, guidance)
        if self.inputs == "stacked":
            return module(torch.cat([image, guidance.to(image.dtype)], dim=1))
        return module(image)

    def logits(self, answer: Any, classes: int, shape: tuple[int, int]) -> Tensor:
        """Return logits ``(B, classes, height, width)`` from a program's answer.

        Raises
        ------
        CardError
            If the answer cannot be logits of these classes at this size.
        """
        found = _tensor(answer, self.key)
        if found.ndim == 3 and classes == 2 and found.is_floating_point():
            found = found.unsqueeze(1)  # the axis of a single channel is often dropped
        if found.ndim != 4 or not found.is_floating_point():
            hint = "" if found.is_floating_point() else "; export it without its argmax"
            raise CardError(f"{_described(answer)}, not logits of every class and pixel{hint}")
        if found.shape[1] == 1 and classes == 2:
            found = self._of_one_channel(found)
        elif self.answer == "probabilities":
            found = torch.log(found.clamp(min=_SMALLEST))
        if found.shape[1] != classes:
            raise _OtherClassesError(_described(answer))
        if tuple(found.shape[-2:]) != shape:
            if not _is_reduced(tuple(found.shape[-2:]), shape):
                raise CardError(_described(answer))
            found = F.interpolate(found, size=shape, mode="bilinear", align_corners=False)
        return found

    def _of_one_channel(self, found: Tensor) -> Tensor:
        if self.answer == "probabilities":
            found = torch.logit(found, eps=_SMALLEST)
        # Half for each class: a softmax of the two equals the sigmoid of the one.
        pair = [found / 2, -found / 2] if self.positive == 0 else [-found / 2, found / 2]
        return torch.cat(pair, dim=1)


def checked_options(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a card's options about the interface, checked.

    Parameters
    ----------
    options : mapping
        Of the card: ``inputs``, ``key``, ``answer``, ``positive``, ``size``, ``multiple``.
    name : str
        The card's name, for messages.

    Raises
    ------
    CardError
        If an option is unknown or has an invalid value.
    """
    checked = dict(options)
    for key, choices in (("inputs", get_args(Inputs)), ("answer", get_args(Answer))):
        if key in checked and checked[key] not in choices:
            raise CardError(f"{key} = {checked[key]!r} is unknown; use {_listed(choices)}")
    if "key" in checked and type(checked["key"]) not in (str, int):
        raise CardError(f"key = {checked['key']!r} is neither a name nor a number")
    if checked.get("positive", 1) not in (0, 1) or isinstance(checked.get("positive"), bool):
        raise CardError(f"positive = {checked['positive']!r} is not 0 or 1")
    if "multiple" in checked and not _is_side(checked["multiple"]):
        raise CardError(
            f"multiple = {checked['multiple']!r} is not a number of pixels from 1 to 8192"
        )
    if "size" in checked:
        size = checked["size"]
        sides = size if isinstance(size, list | tuple) else (size, size)
        if len(sides) != 2 or not all(map(_is_side, sides)):
            raise CardError(f"size = {size!r} is not a side in pixels, or a height and a width")
        checked["size"] = tuple(sides)
    unknown = checked.keys() - {"inputs", "key", "answer", "positive", "size", "multiple"}
    if unknown:
        raise CardError(f"card {name!r} has wrong options: {', '.join(sorted(map(str, unknown)))}")
    return checked


def find_interface(
    module: Callable[..., Any], bands: int, classes: int, options: Mapping[str, Any]
) -> Interface:
    """Call a program in different ways until it returns logits.

    Parameters
    ----------
    module : callable
    bands, classes : int
        Numbers of bands and classes in its card.
    options : mapping
        Of the card; see `checked_options`.

    Raises
    ------
    CardError
        If no way to call it works; the message tells what the program returned, or why it failed.
    """
    trial = _Trial(module, bands, classes)
    errors: list[CardError] = []
    for interface in _candidates(options, trial.answered):
        if any(isinstance(e, _OtherClassesError) and e.inputs == interface.inputs for e in errors):
            continue  # another size does not change the number of classes
        sides = interface.size or (interface.multiple * 2,) * 2
        try:
            found = trial.completed(interface, sides, options)
        except CardError as error:
            if isinstance(error, _OtherClassesError):
                error.inputs = interface.inputs
            errors.append(error)
            continue
        if interface.size is None and "multiple" not in options:
            stride = trial.stride
            try:
                trial.completed(interface, (3 * interface.multiple,) * 2, options)
            except CardError:
                continue
            if trial.stride != stride:
                continue  # it answers with its own size, whatever it gets
        return replace(found, single=not trial.takes_two(found, sides))
    # A wrong answer is the most informative error, a complaint about arguments the least.
    answered = (error for error in errors if not str(error).startswith("fails"))
    inside = (error for error in errors if not any(text in str(error) for text in _ARGUMENTS))
    reason = next(answered, next(inside, errors[0]))
    if options.keys() & {"size", "multiple"} or not str(reason).startswith("fails"):
        raise reason
    raise CardError(f'{reason}; if it takes one size only, say which in its card, as "size"')


class _OtherClassesError(CardError):
    """A program returns another number of classes than its card has.

    Attributes
    ----------
    inputs : str
        How it was called, see `Inputs`.
    """

    inputs = ""


def _candidates(
    options: Mapping[str, Any], answered: Mapping[tuple[int, int], None]
) -> Iterator[Interface]:
    """Yield ways to call a program; `answered` has the sizes of its answers to those before."""
    ways: tuple[Inputs, ...] = (options["inputs"],) if "inputs" in options else get_args(Inputs)
    base = Interface(positive=options.get("positive", 1), key=options.get("key"))
    if "size" in options:
        yield from (replace(base, inputs=way, size=options["size"]) for way in ways)
        return
    if "multiple" in options:
        yield from (replace(base, inputs=way, multiple=options["multiple"]) for way in ways)
        return
    for multiple in _MULTIPLES:
        yield from (replace(base, inputs=way, multiple=multiple) for way in ways)
    # A program that answers with its own size, whatever it gets, was made for that size.
    for sizes in (tuple(answered), ((side, side) for side in _FIXED), answered):
        for size in tuple(sizes):
            yield from (replace(base, inputs=way, size=size) for way in ways)


class _Trial:
    """Calls a program with noise of the right shapes."""

    def __init__(self, module: Callable[..., Any], bands: int, classes: int) -> None:
        self._module = module
        self._bands = bands
        self._classes = classes
        #: Heights and widths of all answers, in their order.
        self.answered: dict[tuple[int, int], None] = {}
        #: Pixels of the input per pixel of the last answer.
        self.stride = 1

    def completed(
        self, interface: Interface, sides: tuple[int, int], options: Mapping[str, Any]
    ) -> Interface:
        """Return the interface, completed by what the answer to a call shows."""
        answer = self._answer(interface, sides, 1.0)
        found = interface
        if interface.key is None and not isinstance(answer, Tensor):
            found = replace(found, key=_key(answer, self._classes))
        given = _tensor(answer, found.key)
        height, width = given.shape[-2:] if given.ndim in (3, 4) else (0, 0)
        if _is_side(height) and _is_side(width):
            self.answered[height, width] = None
            self.stride = round(sides[0] / height)
        if given.is_floating_point() and torch.isnan(given).any():
            raise CardError("answers with NaN")
        if "answer" in options:
            found = replace(found, answer=options["answer"])
        elif _are_probabilities(given):
            loud = _tensor(self._answer(interface, sides, _LOUD), found.key)
            if _are_probabilities(loud):
                found = replace(found, answer="probabilities")
        if len(found.logits(answer, self._classes, sides)) != 1:
            raise CardError(f"{_described(answer)} for one image")
        return found

    def takes_two(self, interface: Interface, sides: tuple[int, int]) -> bool:
        """Whether the program accepts two images at once, and returns logits for both."""
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
    """Call a program; every error in it becomes one line.

    Raises
    ------
    CardError
        If it fails, but not for a full memory: then torch's error is raised.
    """
    try:
        # The optimiser changes the last digits of results after the first calls.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return call()
    except Exception as error:  # a program can raise anything
        if out_of_memory(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else type(error).__name__
        raise CardError(f"fails: {reason[:200]}") from error


def _tensor(answer: Any, key: str | int | None) -> Tensor:
    try:
        found = answer if key is None else answer[key]
    except (KeyError, IndexError, TypeError):
        raise CardError(f"{_described(answer)}, where there is no {key!r}") from None
    if not isinstance(found, Tensor):
        raise CardError(_described(answer))
    return found


def _key(answer: Any, classes: int) -> str | int | None:
    """Key of the logits in an answer: a usual name, else the largest tensor that may be logits.

    Raises
    ------
    CardError
        If several such tensors have the same size.
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
        keys = ", ".join(str(k)[:20] for k in largest[:6])
        raise CardError(
            f"{_described(answer)}, of which {keys} may be the logits: "
            'say which in the card\'s options, as "key"'
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


def _is_reduced(small: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Whether a size is another one divided by an integer, the same along both axes."""
    if 0 in small:
        return False
    down, across = (round(full / part) for full, part in zip(shape, small, strict=True))
    whole = all(s in (n // down, -(-n // down)) for n, s in zip(shape, small, strict=True) if down)
    return 1 < down == across <= _COARSEST and whole


def _described(answer: Any) -> str:
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
