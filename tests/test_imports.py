"""Imports point one way, and heavy ones stay where they belong.

All import statements count, those inside functions and for type checkers too: what a module knows
of is a matter of design, not of when it is loaded.
"""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import napari_sam2track

PACKAGE = "napari_sam2track"
ROOT = Path(napari_sam2track.__file__).parent

#: Lowest first. A part imports itself and parts of lower levels; "" is the package itself.
LEVELS = (
    {"", "errors", "samples"},
    {"parsing"},
    {"labels", "masks", "params", "progress", "storage"},
    {"frames", "prompts"},
    {"models", "tracks"},
    {"engine", "formats", "linking"},
    {"session", "evaluation"},
    {"training", "workspace"},
    {"api", "_napari"},
    {"cli"},
    {"_widgets"},
    {"__main__"},
)

TOOLKITS = {"napari", "npe2", "qtpy", "PyQt6", "PySide6", "superqt", "magicgui", "vispy"}
KNOW_TOOLKITS = {"_napari", "_widgets"}

TORCH = {"torch", "torchvision", "sam2", "hydra", "omegaconf"}
KNOW_TORCH = {"engine", "models", "training"}
#: Module and what it imports: why.
TORCH_ELSEWHERE = {
    ("cli.info", "torch"): "prints its version",
    ("session.run_memories", "torch"): "the engine's state is tensors, read back as weights",
}

#: What one install of the plugin brings, whatever of it is imported so far.
PLUGIN = {"napari", "npe2", "magicgui", "qtpy"}


def imports(path: Path) -> Iterator[str]:
    """Each module that a file imports, by statement or as ``import_module("name")``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                # From the package itself come attributes, or else its modules.
                yield from (
                    f"{module}.{alias.name}" if is_module(f"{module}.{alias.name}") else module
                    for alias in node.names
                )
            case ast.ImportFrom():
                raise AssertionError(f"{path}:{node.lineno} imports relatively")
            case ast.Call(
                func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]
            ):
                yield name


def is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith(f"{PACKAGE}.") and (path.with_suffix(".py").exists() or path.is_dir())


def module_name(path: Path) -> str:
    """``engine.views.views`` for engine/views/views.py, "" for the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".")


def part(module: str) -> str:
    return module.split(".")[0]


def level(name: str) -> int:
    found = [i for i, names in enumerate(LEVELS) if name in names]
    assert found, f"{name!r} is on no level: add it to LEVELS, where it belongs"
    return found[0]


FILES = sorted(ROOT.rglob("*.py"))
EDGES = [(module_name(path), name) for path in FILES for name in imports(path)]
INSIDE = [
    (module, name.removeprefix(PACKAGE).removeprefix("."))
    for module, name in EDGES
    if name.split(".")[0] == PACKAGE
]
OUTSIDE = {(module, name.split(".")[0]) for module, name in EDGES if name.split(".")[0] != PACKAGE}


def test_there_is_something_to_check():
    assert len(FILES) > 60
    assert ("engine.network.network", "torch") in OUTSIDE
    assert ("models.building", "sam2") in OUTSIDE  # by import_module
    assert ("formats.tracks_csv", "tracks.table") in INSIDE


def test_imports_point_one_way():
    wrong = [
        f"{module} imports {name}"
        for module, name in INSIDE
        if part(module) != part(name) and level(part(module)) <= level(part(name))
    ]
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_no_module_imports_itself_by_a_detour():
    """Inside a part, too, imports point one way."""
    graph: dict[str, set[str]] = {}
    for module, name in INSIDE:
        graph.setdefault(module, set()).update({name} - {module})
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_two_modules_have_one_name():
    names = Counter(path.stem for path in FILES if path.stem not in ("__init__", "__main__"))
    assert [name for name, n in names.items() if n > 1] == []


def test_no_two_public_classes_have_one_name():
    names = Counter(
        node.name
        for path in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, n in names.items() if n > 1] == []


def test_toolkits_stay_in_the_plugin():
    wrong = {
        (module, name)
        for module, name in OUTSIDE
        if name in TOOLKITS and part(module) not in KNOW_TOOLKITS
    }
    assert not wrong


def test_torch_stays_behind_the_engine():
    elsewhere = {
        (module, name)
        for module, name in OUTSIDE
        if name in TORCH and part(module) not in KNOW_TORCH
    }
    assert elsewhere == set(TORCH_ELSEWHERE)


def test_what_is_declared_is_what_is_imported():
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    if not pyproject.exists():
        pytest.skip("no pyproject.toml beside the tests")
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["eval"]]
    declared = {canonical(re.split(r"[<>=!~\[; ]", d)[0]) for d in wanted}
    distributions = packages_distributions()
    imported = {
        canonical(distributions.get(name, [name])[0])
        for module, name in OUTSIDE
        if name not in sys.stdlib_module_names and name not in TOOLKITS
    }
    assert imported - declared == set(), "imported, not declared"
    assert declared - imported == PLUGIN, "declared, not imported"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
