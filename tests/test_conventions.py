"""Conventions of the code that no linter checks; see CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "zoo"
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}
DIALECT = re.compile(r"\b(told|heard|hears|begun|welcome|mend)\b", re.IGNORECASE)


def imports_of(path):
    """(module, name or None, line) for every import in a file, wherever it stands."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)


def package_of(module):
    """`zoo.tuning` for `zoo.tuning._x.y`; a module directly in zoo/ is its own package."""
    return ".".join(module.split(".")[:2])


def imported_files(path):
    for module, name, _ in imports_of(path):
        for candidate in (f"{module}.{name}", module):
            if candidate in MODULES:
                yield MODULES[candidate]
                break


def test_no_package_imports_anothers_private_names():
    found = []
    for module, path in MODULES.items():
        for imported, name, line in imports_of(path):
            parts = [*imported.split("."), *([name] if name else [])]
            private = any(part.startswith("_") and not part.startswith("__") for part in parts[1:])
            if (
                parts[0] == "zoo"
                and private
                and package_of(imported) not in (package_of(module), "zoo._version")
            ):
                found.append(f"{path}:{line}: {imported} {name or ''}")
    assert found == []


def test_no_file_imports_itself_through_others():
    graph = {path: {other for other in imported_files(path) if other != path} for path in FILES}
    # A package's __init__ imports its modules, and they may import each other, but not the package.
    cycles = []
    for start in FILES:
        reached, pending = set(), list(graph[start])
        while pending:
            path = pending.pop()
            if path not in reached:
                reached.add(path)
                pending += graph[path]
        if start in reached:
            cycles.append(str(start.relative_to(ROOT)))
    assert cycles == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_small_and_plain(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert [line for line in text.splitlines() if DIALECT.search(line)] == []
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Module):
            assert not re.match(r"(Of|What|Whether|Where)\b", ast.get_docstring(node) or "")
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            limit = 250 if isinstance(node, ast.ClassDef) else 60
            assert (node.end_lineno or 0) - node.lineno + 1 <= limit, node.name
            docstring = ast.get_docstring(node) or ""
            assert not re.match(r"(Of|What|Whether)\b", docstring), f"{node.name}: {docstring}"


NAMES_IN_MESSAGES = (
    "Choice",
    "Float",
    "Int",
    "KERAS_BACKEND",
    "List",
    "MLflow",
    "Optuna",
    "Setting",
    "ZOO_DATA_DIR",
)


def message_starts(path):
    """Return line and first literal of each message that is given to an error when it is made."""
    for call in (node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        first = call.args[0] if call.args else None
        parts = first.values[:1] if isinstance(first, ast.JoinedStr) else [first]
        if name.endswith("Error") or name == "InvalidParameters":
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield call.lineno, part.value


def test_error_message_starts_with_small_letter():
    wrong = [
        f"{path}:{line}: {text}"
        for path in FILES
        for line, text in message_starts(path)
        if text[:1].isupper() and not text.startswith(NAMES_IN_MESSAGES)
    ]
    assert wrong == []
