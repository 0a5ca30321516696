"""What docs/architecture.md says of the code, and how large its pieces may be."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from walks import WALKS, sections

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_disca"


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _exists(dotted: str) -> bool:
    """Whether a name is defined, without importing Qt or torch for it."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        file = PACKAGE.joinpath(*parts[:length]).with_suffix(".py")
        if not file.is_file():
            continue
        body: list[ast.stmt] = _tree(file).body
        for name in parts[length:]:
            found = [
                node
                for node in body
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name
            ]
            if not found:
                return False
            body = found[0].body
        return True
    return False


def test_there_are_three_walks_of_at_most_nine_steps():
    assert len(WALKS) == 3
    assert all(4 <= len(steps) <= 9 for steps in WALKS.values())


@pytest.mark.parametrize("name", sorted({step for steps in WALKS.values() for step in steps}))
def test_what_a_walk_names_exists(name):
    assert _exists(name), f"docs/architecture.md names {name}, which is not in the code"


def test_a_name_that_is_gone_is_found():
    assert not _exists("session.session.Session.gone")
    assert not _exists("session.gone.Session")


def test_every_folder_is_in_the_tables_and_in_the_picture():
    folders = {file.parent.relative_to(PACKAGE) for file in PACKAGE.rglob("__init__.py")}
    folders -= {Path()}
    text = sections()
    rows = re.findall(r"^\| `([\w/]+)` \|(.*)$", text["The folders"], re.MULTILINE)
    inner = {Path(row, sub) for row, contents in rows for sub in re.findall(r"`(\w+)/`", contents)}
    assert {Path(row) for row, _ in rows} | inner == folders
    top = [str(folder) for folder in folders if len(folder.parts) == 1]
    assert all(re.search(rf"\b{name}\b", text["The picture"]) for name in top)


def _contract(container: str) -> list[str]:
    """Layers of the folders in a folder, from top to bottom."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == [container]
    )
    return layers


def test_the_list_of_the_windows_folders_is_the_order_of_the_contract():
    rows = re.findall(r"^\| `gui/(\w+)` \|", sections()["The folders"], re.MULTILINE)
    assert rows == _contract("napari_disca.gui")


def test_the_picture_is_the_order_of_the_contract():
    layers = _contract("napari_disca")
    picture = sections()["The picture"]
    order = [[name.strip() for name in layer.split("|")] for layer in layers]
    places = [min(re.search(rf"\b{name}\b", picture).start() for name in layer) for layer in order]
    assert places == sorted(places)
    assert len(order) <= 15


def _modules() -> dict[str, Path]:
    files = {file.relative_to(PACKAGE.parent).with_suffix(""): file for file in _files()}
    return {".".join(path.parts).removesuffix(".__init__"): file for path, file in files.items()}


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _imports(module: str, file: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of the package that a module imports, in functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relative to itself"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & modules.keys() or {node.module or ""}
    return (found & modules.keys()) - {module}


#: A name of the package with dots, in code, strings and prose.
_DOTTED = re.compile(r"\bnapari_disca(?:\.[A-Za-z]\w*)+")


def _named(text: str, *, code: bool) -> set[str]:
    """Return what a file names of the package, with dots."""
    found = set(_DOTTED.findall(text))
    for node in ast.walk(ast.parse(text)) if code else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_disca"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _is_there(dotted: str, modules: dict[str, Path]) -> bool:
    """Whether a module has the name; what follows the name with another dot does not count."""
    parts = dotted.split(".")
    known = max(n for n in range(len(parts) + 1) if ".".join(parts[:n]) in modules)
    text = modules[".".join(parts[:known])].read_text(encoding="utf-8")
    return known == len(parts) or re.search(rf"\b{parts[known]}\b", text) is not None


def test_names_of_the_package_exist_wherever_they_are_written():
    """Also in functions, where an import of a module that was moved fails only when they run."""
    modules = _modules()
    folders = ("src", "tests", "benchmarks", "docs")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*")]
    files += [*ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    wrong = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        if file.suffix in (".py", ".md", ".yaml", ".toml") and file.name != "CHANGELOG.md"
        for name in _named(file.read_text(encoding="utf-8"), code=file.suffix == ".py")
        if not _is_there(name, modules)
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_a_module_that_was_moved_is_found_where_it_is_named():
    named = _named("def late():\n    from napari_disca.gui.window import " + "widget", code=True)
    assert "napari_disca.gui.window.widget" in named
    assert all(_is_there(name, _modules()) for name in named)
    assert not _is_there("napari_disca.gui." + "panels.widget", _modules())
    assert not _is_there("napari_disca.session.session." + "Gone", _modules())


def test_imports_form_no_cycle():
    modules = _modules()
    graph = {name: _imports(name, file, modules) for name, file in modules.items()}
    assert "napari_disca.core.tiling" in graph["napari_disca.session.session"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_folders_of_tests_are_those_of_the_package():
    tests = ROOT / "tests"
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}
    assert Path("gui/viewer/layers") in folders
    beside = {Path("benchmarks")}  # the folder of that name beside src
    unknown = [f.as_posix() for f in folders - beside if not (PACKAGE / f).is_dir()]
    assert not unknown, f"not folders of src/napari_disca: {unknown}"


# ---------------------------------------------------------------- sizes

FOLDER, MODULE, CLASS, FUNCTION = 18, 400, 300, 60


def test_no_folder_has_more_modules_than_can_be_read_at_a_glance():
    folders = [file.parent for file in PACKAGE.rglob("__init__.py")]
    counts = {f.relative_to(PACKAGE).as_posix(): len([*f.glob("*.py")]) - 1 for f in folders}
    assert {folder: count for folder, count in counts.items() if count > FOLDER} == {}


#: What is larger, how large it may be, and why. An entry goes when its piece has become small.
LARGER: dict[str, tuple[int, str]] = {
    "recipes/automatic.py:Automatic.adapt": (70, "the halves of the clicks, one after the other"),
    "recipes/disca.py:Disca.adapt": (110, "the paper's loop, to be read from top to bottom"),
    "scenes/homes.py:house": (75, "draws one house, part after part"),
    "scenes/homes.py:compound": (85, "draws one compound, part after part"),
}


def _sizes() -> dict[str, tuple[int, int]]:
    """Lines of every module, class and function, and how many it may have."""
    found: dict[str, tuple[int, int]] = {}

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                most = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
                found[prefix + node.name] = (node.end_lineno - node.lineno + 1, most)
                look(node.body, f"{prefix}{node.name}.")

    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        found[name] = (len(file.read_text(encoding="utf-8").splitlines()), MODULE)
        look(_tree(file).body, f"{name}:")
    return found


def test_pieces_are_small_enough_to_read():
    large = [
        f"{name} has {lines} lines; {LARGER.get(name, (most,))[0]} are the most"
        for name, (lines, most) in _sizes().items()
        if lines > LARGER.get(name, (most,))[0]
    ]
    assert not large, "\n".join(large)


def test_exceptions_name_what_is_there():
    sizes = _sizes()
    assert not [name for name in LARGER if name not in sizes]
    assert all(reason for _, reason in LARGER.values())
