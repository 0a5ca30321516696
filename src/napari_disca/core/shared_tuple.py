"""A tuple whose changed copies share memory with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import is_
from typing import Any, TypeAlias, TypeVar, overload

T = TypeVar("T")
#: A node of the tree: a tuple of nodes, or of items in the lowest level.
_Node: TypeAlias = tuple[Any, ...]

#: Most members of a node.
_WIDTH = 32


class SharedTuple(Sequence[T]):
    """An immutable sequence whose changed copies share memory with it.

    It is equal to a tuple of the same items. The items are stored in a tree of short tuples, of
    which a change copies only those on the way to the changed items. A history in which every step
    has one item more therefore takes little more memory than its last step; with tuples it would
    grow with the square of their length.

    Parameters
    ----------
    items : iterable
        The items, none of which is None.
    """

    __slots__ = ("_count", "_height", "_root")

    _root: _Node
    #: Levels of nodes below the root.
    _height: int
    _count: int

    def __init__(self, items: Iterable[T] = ()) -> None:
        nodes: _Node = tuple(items)
        self._count, self._height = len(nodes), 0
        while len(nodes) > _WIDTH:
            nodes = tuple(nodes[at : at + _WIDTH] for at in range(0, len(nodes), _WIDTH))
            self._height += 1
        self._root = nodes

    @classmethod
    def _of(cls, root: _Node, height: int, count: int) -> SharedTuple[T]:
        made = cls.__new__(cls)
        made._root, made._height, made._count = root, height, count
        return made

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        nodes: Iterable[Any] = self._root
        for _ in range(self._height):
            nodes = chain.from_iterable(nodes)
        return iter(nodes)

    def __reversed__(self) -> Iterator[T]:
        nodes: Iterator[Any] = reversed(self._root)
        for _ in range(self._height):
            nodes = chain.from_iterable(map(reversed, nodes))
        return nodes

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        if not -self._count <= index < self._count:
            raise IndexError(f"there is no item {index} among {self._count}")
        items, skipped = (iter(self), index) if index >= 0 else (reversed(self), -1 - index)
        return next(islice(items, skipped, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SharedTuple):
            return tuple(self) == other if isinstance(other, tuple) else NotImplemented
        # Versions of a history share their nodes, and tuples compare identical members at once.
        return self is other or (
            self._count == other._count
            and ((self._height, self._root) == (other._height, other._root) or self[:] == other[:])
        )

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"SharedTuple({tuple(self)!r})"

    def added(self, *items: T) -> SharedTuple[T]:
        """Return these items and the given ones behind them."""
        root, height = self._root, self._height
        for item in items:
            longer = _appended(root, height, item)
            if longer is None:
                longer = (root, _branch(item, height))
                height += 1
            root = longer
        return self._of(root, height, self._count + len(items)) if items else self

    def mapped(self, change: Callable[[T], T | None]) -> SharedTuple[T]:
        """Return changed items; the object itself if all stay the same objects.

        Parameters
        ----------
        change : callable
            Returns the item after the change; None if it is removed.
        """

        def change_leaf(leaf: _Node) -> _Node:
            changed = tuple(map(change, leaf))
            if all(map(is_, changed, leaf)):
                return leaf
            return tuple(item for item in changed if item is not None)

        return self._changed(change_leaf)

    def kept(self, wanted: Callable[[T], object]) -> SharedTuple[T]:
        """Return the items for which a function is true; the object itself if it is for all."""
        return self._changed(lambda leaf: tuple(filter(wanted, leaf)))

    def _changed(self, change: Callable[[_Node], _Node]) -> SharedTuple[T]:
        """Return the items of changed leaves, which are the tuples of items."""
        root, height = _changed(self._root, self._height, change), self._height
        if root is self._root:
            return self
        while height and len(root) == 1:
            (root,) = root
            height -= 1
        made = self._of(root, height if root else 0, 0)
        made._count = len(tuple(made))
        return made

    def changes(self, after: SharedTuple[T]) -> tuple[list[T], list[T]]:
        """Return which items are only in this object, and which only in another version of it.

        The time it takes grows with the changes between the two, not with their length. Items of
        which the two share no memory may occur in both lists.
        """
        old, new = self._root, after._root
        for _ in range(after._height - self._height):
            old = (old,)
        for _ in range(self._height - after._height):
            new = (new,)
        gone: list[T] = []
        come: list[T] = []
        _compare(old, new, max(self._height, after._height), gone, come)
        return gone, come


def _branch(item: object, height: int) -> _Node:
    """Return a node that holds one item."""
    node: _Node = (item,)
    for _ in range(height):
        node = (node,)
    return node


def _appended(node: _Node, height: int, item: object) -> _Node | None:
    """Return a node with one item more; None if it is full."""
    if height and node:
        longer = _appended(node[-1], height - 1, item)
        if longer is not None:
            return (*node[:-1], longer)
    if len(node) < _WIDTH:
        return (*node, _branch(item, height - 1) if height else item)
    return None


def _changed(node: _Node, height: int, change: Callable[[_Node], _Node]) -> _Node:
    """Return a node with changed leaves; the same object where nothing changes."""
    if height:
        changed = tuple(filter(None, (_changed(below, height - 1, change) for below in node)))
    else:
        changed = change(node)
    same = changed is node or (len(changed) == len(node) and all(map(is_, changed, node)))
    return node if same else changed


def _compare(old: _Node, new: _Node, height: int, gone: list[Any], come: list[Any]) -> None:
    """Add to two lists the items below two nodes of one height that they do not share."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] is not new[i]), most)
    end = next((i for i in range(most - start) if old[-1 - i] is not new[-1 - i]), most - start)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if height:
        for before, after in zip(old, new, strict=False):
            _compare(before, after, height - 1, gone, come)
        most = min(len(old), len(new))
        old, new = old[most:], new[most:]
    for nodes, found in ((old, gone), (new, come)):
        for _ in range(height):
            nodes = tuple(chain.from_iterable(nodes))
        found.extend(nodes)
