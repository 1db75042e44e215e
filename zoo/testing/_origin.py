"""The place from which another process, or a user at a prompt, imports the function under test."""

from __future__ import annotations

import inspect
import os
import shlex
import site
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.space import variant, variant_defaults

Function = Callable[..., Any]


@dataclass(frozen=True)
class Origin:
    """A name in a module, or a `zoo.variant` of the function of that name.

    Args:
        path: dotted name inside the module.
        variant_of: name, description and defaults of a variant that a hook made, and that has no name.
    """

    module: str
    path: str
    variant_of: tuple[str, str, Mapping[str, Any]] | None = None

    def load(self) -> Function:
        found: Any = import_module(self.module)
        for part in self.path.split("."):
            found = getattr(found, part)
        if self.variant_of is not None:
            name, description, defaults = self.variant_of
            found = variant(found, name, description, **defaults)
        function: Function = found
        return function

    @property
    def expression(self) -> str:
        if self.variant_of is None:
            return self.path
        name, description, defaults = self.variant_of
        keywords = "".join(f", {key}={value!r}" for key, value in defaults.items())
        return f"variant({self.path}, {name!r}, {description!r}{keywords})"

    @property
    def imports(self) -> list[str]:
        own = f"from {self.module} import {self.path.partition('.')[0]}"
        return [own] if self.variant_of is None else [own, "from zoo import variant"]


def origin_of(function: Function) -> Origin | None:
    """Return the origin of `function`; None if it is no name in a module, like an inner function."""
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module and module != "__main__" and all(part.isidentifier() for part in path.split(".")):
        origin = Origin(module, path)
        if _is_found(origin, function):
            return origin
    defaults = variant_defaults(function)
    base = None if defaults is None else origin_of(inspect.unwrap(function))
    if base is None or defaults is None:
        return None
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    return Origin(base.module, base.path, (function.__name__, description, defaults))


def command(origin: Origin, statement: str, imports: list[str]) -> str:
    """Return a shell command that runs `statement` after the imports that it needs."""
    code = "; ".join([*imports, *origin.imports, statement])
    quoted = f'"{code}"' if not set(code) & set('"$`\\!') else shlex.quote(code)
    return f"{_variables(origin.module)}python -c {quoted}"


def _is_found(origin: Origin, function: Function) -> bool:
    try:
        return origin.load() is function
    except (ImportError, AttributeError):
        return False


def _variables(module: str) -> str:
    """Return the variables of the command: the backend, and the folder of a module that is not installed."""
    backend = os.environ.get("KERAS_BACKEND")
    variables = [f"KERAS_BACKEND={backend}"] if backend else []
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if file is not None:
        path = Path(file).resolve()
        folder = path.parents[1] if path.name == "__init__.py" else path.parent
        if folder != Path.cwd() and folder not in _site_folders():
            relative = os.path.relpath(folder)
            shown = str(folder) if relative.startswith("..") else relative
            variables.append(f"PYTHONPATH={shlex.quote(shown)}")
    return "".join(f"{variable} " for variable in variables)


def _site_folders() -> set[Path]:
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return {Path(folder).resolve() for folder in folders}
