"""Plugin files: Python files that register components, without a package.

A plugin file is read once, when a command starts. Its content goes to every worker process, so that a later
change of the file has no effect on a running study. Its version is the beginning of its SHA-256.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import keyword
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, ParamSpec, TypeVar

from zoo.errors import PluginError, did_you_mean, one_line
from zoo.files import write_atomically

NOTEBOOK_HINT = (
    "write it to a file, with `%%writefile my_net.py` in the first line of the cell, and pass "
    'plugins=["my_net.py"]'
)
P = ParamSpec("P")
R = TypeVar("R")
_VERSION_LENGTH = 12  # hexadecimal digits


@dataclass(frozen=True)
class PluginFile:
    """A plugin file and its content."""

    path: Path  # absolute; also the module's `__file__`
    source: bytes

    @property
    def name(self) -> str:
        """`my_net.py`; it takes the place of a distribution's name."""
        return self.path.name

    @property
    def module(self) -> str:
        """The module's name, `my_net`, the same in every process: saved models refer to classes by it."""
        return self.path.stem

    @property
    def key(self) -> str:
        """The key of the plugin in `TrialConfig.plugins`."""
        return f"{self.name}:{self.module}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def version(self) -> str:
        return short_digest(self.digest)

    @cached_property
    def imports(self) -> dict[str, int]:
        """The top-level names of the modules that the file imports, also in functions, with their lines."""
        found: dict[str, int] = {}
        for node in ast.walk(parse(self.source, str(self.path))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = ["." * node.level + (node.module or "")]
            else:
                continue
            for name in names:
                top = "." if name.startswith(".") else name.partition(".")[0]
                found[top] = min(node.lineno, found.get(top, node.lineno))
        return found


def short_digest(digest: str) -> str:
    """Return the beginning of a SHA-256, which is the version of a plugin file."""
    return digest[:_VERSION_LENGTH]


def is_file_key(key: str) -> bool:
    """Return True if a key of `TrialConfig.plugins`, `DISTRIBUTION:PLUGIN`, stands for a plugin file."""
    name, _, plugin = key.partition(":")
    return name == f"{plugin}.py"


def kept_path(study_dir: Path, name: str, version: str) -> Path:
    """Return the path of a study's copy of a plugin file; relative if it is in the working folder."""
    path = study_dir / "plugins" / version / name
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def keep_files(study_dir: Path, files: Iterable[PluginFile]) -> None:
    """Keep a copy of each plugin file that trials of a study use; copies of other versions stay."""
    for file in files:
        path = kept_path(study_dir, file.name, file.version)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, file.source)


def parse(source: bytes, file: str) -> ast.Module:
    with warnings.catch_warnings(action="ignore"):  # such as those about invalid escape sequences
        return ast.parse(source.decode("utf-8-sig"), file)


# --- the plugin files of this process


@dataclass(frozen=True)
class _FilesInUse:
    files: tuple[PluginFile, ...] = ()
    has_keras: bool = False  # True in a worker process, which imports the files with Keras


_NO_FILES = _FilesInUse()
_in_use: ContextVar[_FilesInUse] = ContextVar("plugin files", default=_NO_FILES)


def given_files() -> tuple[PluginFile, ...]:
    """Return the plugin files that a user gave to this command, function or worker process."""
    return _in_use.get().files


def imports_keras() -> bool:
    """Return True if plugin files are loaded with Keras here, False if only their signatures are read."""
    return _in_use.get().has_keras


@contextmanager
def using_plugins(plugins: Iterable[Any], *, has_keras: bool | None = None) -> Iterator[None]:
    """Use plugin files in the block: registries have their components, saved models may have their layers.

    Args:
        plugins: paths, modules, or objects of `PluginFile`; they are added to those in use.
        has_keras: True in a process that imports Keras and calls functions of the files; None for no change.

    Raises:
        PluginError: one of them is no plugin file.
    """
    before = _in_use.get()
    files = merge_files(before.files, [plugin_file(plugin) for plugin in plugins])
    token = _in_use.set(_FilesInUse(files, before.has_keras if has_keras is None else has_keras))
    try:
        yield
    finally:
        _in_use.reset(token)


def takes_plugins(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function`, changed so that the files in its argument `plugins` are in use while it runs."""

    @functools.wraps(function)
    def with_plugins(*arguments: P.args, **options: P.kwargs) -> R:
        plugins: Any = options.get("plugins", ())
        with using_plugins(plugins):
            return function(*arguments, **options)

    return with_plugins


def merge_files(files: Sequence[PluginFile], others: Iterable[PluginFile]) -> tuple[PluginFile, ...]:
    """Return all files, each once; raise PluginError if two different files have the same name."""
    merged = {file.name: file for file in files}
    for file in others:
        same_name = merged.setdefault(file.name, file)
        if same_name.digest != file.digest:
            raise PluginError(
                f"expected plugin files with different names, got {same_name.path} and {file.path}; "
                "rename one of them."
            )
    return tuple(merged.values())


# --- reading


def plugin_file(plugin: Any, folder: Path | None = None) -> PluginFile:
    """Return the plugin file of a path or of an imported module.

    Args:
        folder: the folder that contains a relative path; the working folder by default.

    Raises:
        PluginError: there is no such file, or it is not Python, or another module has its name, or it
            imports a module beside it.
    """
    if isinstance(plugin, PluginFile):
        return plugin
    shown = _path_of(plugin)
    path = (Path.cwd() / (folder or "") / Path(shown).expanduser()).absolute()
    _check_path(path, shown)
    try:
        file = PluginFile(path, path.read_bytes())
    except OSError as error:
        raise PluginError(f"the plugin file {shown} cannot be read: {error.strerror}.") from None
    _check_syntax(file, shown)
    _check_names(file, shown)
    _check_siblings(file, shown)
    return file


def _path_of(plugin: Any) -> str:
    """Return the path that the user gave, or that of a module; raise PluginError if there is none."""
    if isinstance(plugin, str | os.PathLike):
        return os.fspath(plugin)
    if isinstance(plugin, FunctionType):
        if plugin.__module__ == "__main__":
            raise PluginError(
                f"the function {plugin.__name__} of a notebook or script cannot be sent to worker processes; "
                f"{NOTEBOOK_HINT}."
            )
        raise PluginError(
            f"expected the path of a plugin file or a module, got the function {plugin.__name__}; "
            f"pass the module {plugin.__module__}."
        )
    if not isinstance(plugin, ModuleType):
        raise PluginError(f"expected the path of a plugin file or a module, got {one_line(repr(plugin))}.")
    file = str(getattr(plugin, "__file__", None) or "")
    if plugin.__name__ == "__main__" or not file:
        raise PluginError(
            f"the code of the module {plugin.__name__} cannot be sent to worker processes; {NOTEBOOK_HINT}."
        )
    if "." in plugin.__name__ or Path(file).name == "__init__.py":
        raise PluginError(
            f"expected a module of one file, got {plugin.__name__}, which belongs to a package; "
            "`zoo plugins new` writes a package that zoo finds by itself."
        )
    return file


def _check_path(path: Path, shown: str) -> None:
    """Raise PluginError unless `path` is a Python file whose name can be that of a module."""
    if not path.is_file():
        if path.is_dir():
            raise PluginError(f"expected a plugin file, NAME.py, got the folder {shown}.")
        others = [one.name for one in path.parent.glob("*.py")]
        hint = did_you_mean(path.name, others) if others else "Give the path of a Python file."
        raise PluginError(f"there is no plugin file {shown}. {hint}")
    if path.suffix != ".py":
        more = f"; {NOTEBOOK_HINT}" if path.suffix == ".ipynb" else ""
        raise PluginError(f"expected a plugin file, NAME.py, got {shown}{more}.")
    name = path.stem
    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        raise PluginError(
            f"expected a plugin file with a name of ASCII letters, digits and _, got {shown}; rename it."
        )
    # A notebook's `sys.path` contains the working folder, which may have another version of this file.
    own = (Path.cwd().resolve(), path.parent.resolve())
    spec = PathFinder.find_spec(name, [one for one in sys.path if Path(one).resolve() not in own])
    is_python = name in sys.builtin_module_names or name in sys.stdlib_module_names
    if is_python or (spec is not None and spec.origin):
        origin = "a part of Python" if is_python or spec is None else f"in {spec.origin}"
        raise PluginError(
            f"the plugin file {shown} has the name of the module '{name}', which is {origin}; "
            "rename the file."
        )


def _check_syntax(file: PluginFile, shown: str) -> None:
    try:
        parse(file.source, shown)
    except UnicodeDecodeError as error:
        line = file.source[: error.start].count(b"\n") + 1
        raise PluginError(f"{shown}:{line}: not Python: expected text in UTF-8.") from None
    except SyntaxError as error:
        raise PluginError(f"{shown}:{error.lineno or 1}: {type(error).__name__}: {error.msg}.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise PluginError(f"{shown}: not Python: {one_line(error)}.") from None


def _check_names(file: PluginFile, shown: str) -> None:
    """Raise PluginError if two functions with a mark have the same name: Python keeps only the second."""
    lines: dict[str, int] = {}
    for node in parse(file.source, shown).body:
        if isinstance(node, ast.FunctionDef) and any(map(_is_mark, node.decorator_list)):
            if node.name in lines:
                raise PluginError(
                    f"{shown}:{node.lineno}: the function {node.name} is also defined in line "
                    f"{lines[node.name]}; rename one of them."
                )
            lines[node.name] = node.lineno


def _is_mark(decorator: ast.expr) -> bool:
    """Return True for `@zoo.architecture`, `@architecture`, `@zoo.metric(…)` and the like."""
    name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return name.rpartition(".")[2] in ("architecture", "dataset", "augmentation", "metric")


def _check_siblings(file: PluginFile, shown: str) -> None:
    """Raise PluginError if the file imports a module of its own folder.

    Worker processes and other machines have only the file, and its digest covers only the file.
    """
    for name, line in file.imports.items():
        beside = [file.path.with_name(f"{name}.py"), file.path.parent / name / "__init__.py"]
        is_known = name in ("zoo", file.module) or name in sys.stdlib_module_names
        if name == "." or (not is_known and any(path.is_file() for path in beside)):
            what = "a relative module" if name == "." else f"'{name}'"
            raise PluginError(
                f"{shown}:{line}: a plugin file cannot import a module of its own folder, but it "
                f"imports {what}; move that code into the file, or make a package "
                "of both with `zoo plugins new`."
            )
