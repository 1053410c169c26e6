"""Data stays data: nothing in the package unpickles, evaluates or hands to a shell what others wrote.

What Spark pickles is our own code, on its way to our own workers. Whoever needs another exception adds a line with its
reason here.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("lib", "jobs", "bench") for path in (ROOT / folder).rglob("*.py")
)
MODULES = {"cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve", "xml", "lxml", "telnetlib"}
BUILTINS = {"compile", "eval", "exec", "__import__"}
CALLS = {
    "os.popen", "os.system", "os.execl", "os.execv", "os.spawnl", "os.spawnv", "pty.spawn", "subprocess.getoutput",
    "subprocess.getstatusoutput", "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "torch.load",
    "pandas.read_pickle", "pd.read_pickle", "numpy.lib.format.read_array", "tempfile.mktemp", "shutil.unpack_archive",
}  # fmt: skip
ATTRIBUTES = {"extractall", "unpack_archive", "read_pickle", "to_pickle"}
PARAMETERS = {"shell": "a shell", "allow_pickle": "pickles"}
ALLOWED = {
    ("lib/keyart/sharing.py", "pickle"): "the driver's own values to its own workers, in a file that it wrote itself",
    ("lib/keyart/video/child.py", "Connection"): "plain data between a process and the child that it started",
}


def names_of(tree: ast.AST) -> dict[str, str]:
    """What a file calls imported things, by their full name."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name.split(".")[0]): alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """a.b.c as it is imported; empty for what is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return ""


def dangers(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything that could make data run."""
    tree = ast.parse(source)
    names = names_of(tree)
    for name in names.values():
        if name.split(".")[0] in MODULES:
            yield 0, name.split(".")[0]
        if name.endswith("multiprocessing.connection.Connection"):
            yield 0, "Connection"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func, names)
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if called in BUILTINS | CALLS or attribute in ATTRIBUTES:
            yield node.lineno, called or attribute
        for given in node.keywords:
            harmless = isinstance(given.value, ast.Constant) and given.value.value in (False, None)
            if given.arg in PARAMETERS and not harmless:
                yield node.lineno, f"{given.arg}= ({PARAMETERS[given.arg]})"


@pytest.mark.parametrize("path", FILES)
def test_nothing_makes_data_run(path):
    found = [(line, name) for line, name in dangers((ROOT / path).read_text()) if (path, name) not in ALLOWED]
    assert not found, f"{path}: {found}; read it as data, or add the reason to ALLOWED"


def test_exceptions_are_still_needed():
    for path, name in ALLOWED:
        assert name in {found for _, found in dangers((ROOT / path).read_text())}, f"{path} no longer needs {name}"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(x)", "from pickle import loads as f\nf(x)", "import joblib", "eval(x)", "exec(x)",
        "import os\nos.system(f'ls {x}')", "from os import system\nsystem(x)", "import yaml as y\ny.load(x)",
        "import subprocess\nsubprocess.run(x, shell=True)", "import subprocess as s\ns.run(x, shell=flag)",
        "import numpy as np\nnp.load(x, allow_pickle=True)", "import zipfile\nzipfile.ZipFile(x).extractall()",
        "import shelve", "__import__(x)", "from xml.etree import ElementTree",
    ],
)  # fmt: skip
def test_what_is_looked_for_is_found(source):
    assert list(dangers(source))


def test_plain_code_is_none():
    assert not list(dangers("import subprocess, numpy as np\nsubprocess.run([x])\nnp.load(x, allow_pickle=False)"))
