"""The shape of the code base: who imports whom, sizes, docstrings, examples that run, what an import costs."""

import ast
import configparser
import doctest
import graphlib
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import tfrobust

ROOT = pathlib.Path(tfrobust.__file__).parent
# First part of a module's name below `tfrobust` ("" is tfrobust/__init__.py) -> level. Imports go down.
LEVELS = {
    "types": 0,
    "checks": 0,
    "files": 0,
    "terminal": 0,
    "quantizers": 1,
    "norms": 1,
    "losses": 1,
    "data": 1,
    "layers": 2,
    "architectures": 2,
    "attacks": 2,
    "training": 3,
    "evaluation": 3,
    "export": 3,
    "zoo": 4,
    "reproduce": 5,
    "cli": 5,
    "demo": 5,
    "": 5,
}
# Edges that do not go down and are allowed all the same.
WITHIN_A_LEVEL = {
    ("architectures", "layers"),
    ("export", "training"),
    ("cli", "demo"),
    ("cli", "reproduce"),
    ("cli", ""),
    ("demo", ""),
}
ON_ANY_BACKEND = ("quantizers", "layers", "architectures", "norms", "losses")
LOADED_ON_USE = (
    "tensorflow_datasets",
    "cleverhans",
    "tensorflow_model_optimization",
    "ai_edge_litert",
    "rich",
    "sklearn",
    "matplotlib",
)
LONGEST_FILE, LONGEST_BODY, SHARE_OF_LONG_BODIES = 400, 50, 0.03


def _module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
PACKAGES = [name for name, path in MODULES.items() if path.name == "__init__.py"]


def imports(tree):
    """Every absolute import of a module, also those inside functions: `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(name):
    """Modules of the package that the module `name` imports; `tfrobust.checks.eps` is the module `tfrobust.checks`."""
    for imported in imports(TREES[name]):
        if imported.split(".")[0] == "tfrobust":
            found = imported if imported in MODULES else imported.rpartition(".")[0]
            if found != name:
                yield found


def part(name):
    """`tfrobust.attacks.base` -> `attacks`."""
    return name.partition(".")[2].partition(".")[0]


def body_length(function):
    """Lines of a function without its signature and docstring."""
    has_docstring = ast.get_docstring(function) is not None
    statements = function.body[1:] if has_docstring else function.body
    return statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0


def functions():
    """`module:function` -> length of its body, for every function and method of the package."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield f"{name}:{node.name}:{node.lineno}", body_length(node)


@pytest.mark.parametrize("name", MODULES)
def test_module_has_a_level(name):
    assert part(name) in LEVELS


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_downwards_only(name):
    def allowed(imported):
        edge = part(name), part(imported)
        return edge[0] == edge[1] or edge in WITHIN_A_LEVEL or LEVELS[edge[1]] < LEVELS[edge[0]]

    assert [imported for imported in own_imports(name) if not allowed(imported)] == []


def test_modules_import_without_a_cycle():
    graph = {name: set(own_imports(name)) for name in MODULES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_absolute_and_name_what_they_take(name):
    froms = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in froms if node.level > 0 or node.names[0].name == "*"] == []


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) in ON_ANY_BACKEND])
def test_module_for_every_backend_never_imports_one(name):
    backends = {"tensorflow", "jax", "torch", "tf_keras"}
    assert backends.isdisjoint(imported.split(".")[0] for imported in imports(TREES[name]))


@pytest.mark.parametrize("name", MODULES)
def test_file_is_short(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_hardly_any_function_is_long():
    lengths = dict(functions())
    long = {name: length for name, length in lengths.items() if length > LONGEST_BODY}
    assert len(long) <= SHARE_OF_LONG_BODIES * len(lengths), long


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is(name):
    assert ast.get_docstring(TREES[name])


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names_exist_and_have_a_docstring(name):
    package = importlib.import_module(name)
    public = {attribute: getattr(package, attribute) for attribute in package.__all__}
    documented = {key: value for key, value in public.items() if callable(value) or inspect.ismodule(value)}
    assert documented
    assert [key for key, value in documented.items() if not value.__doc__] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names_are_listed_once(name):
    listed = importlib.import_module(name).__all__
    assert len(listed) == len(set(listed))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_module_is_in_a_package_that_gets_installed():
    settings = configparser.ConfigParser()
    settings.read(pathlib.Path(__file__).parent.parent / "setup.cfg")
    packages = set(settings["options"]["packages"].split())
    assert packages == {*PACKAGES, "tfrobust.zoo_data"}
    assert {module.name for module in pkgutil.walk_packages([str(ROOT)], "tfrobust.")} == set(MODULES) - {"tfrobust"}


def test_importing_the_package_loads_nothing_heavy_beyond_keras():
    code = "import sys, keras; before = set(sys.modules); import tfrobust; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "tfrobust" in loaded and loaded.isdisjoint(LOADED_ON_USE)
