"""Where another process, or a user at a prompt, finds the function under test."""

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

from zoo.space import _variant, variant

Function = Callable[..., Any]


@dataclass(frozen=True)
class Origin:
    """A name in a module."""

    module: str
    path: str  # dotted name inside the module

    def load(self) -> Function:
        found: Any = import_module(self.module)
        for part in self.path.split("."):
            found = getattr(found, part)
        function: Function = found
        return function

    @property
    def expression(self) -> str:
        return self.path

    @property
    def imports(self) -> list[str]:
        return [f"from {self.module} import {self.path.partition('.')[0]}"]


@dataclass(frozen=True)
class VariantOrigin:
    """A `zoo.variant` that a hook made, and that is no name in a module."""

    base: Origin | VariantOrigin
    name: str
    description: str
    defaults: Mapping[str, Any]

    @property
    def module(self) -> str:
        return self.base.module

    def load(self) -> Function:
        return variant(self.base.load(), self.name, self.description, **self.defaults)

    @property
    def expression(self) -> str:
        defaults = "".join(f", {name}={value!r}" for name, value in self.defaults.items())
        return f"variant({self.base.expression}, {self.name!r}, {self.description!r}{defaults})"

    @property
    def imports(self) -> list[str]:
        return [*self.base.imports, "from zoo import variant"]


def origin_of(function: Function) -> Origin | VariantOrigin | None:
    """Return where `function` is found again; None if it is no name in a module, like an inner function."""
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module and module != "__main__" and all(part.isidentifier() for part in path.split(".")):
        origin = Origin(module, path)
        if _is_found(origin, function):
            return origin
    if getattr(function, "__globals__", None) is vars(_variant):
        return _variant_origin(function)
    return None


def _is_found(origin: Origin, function: Function) -> bool:
    try:
        return origin.load() is function
    except (ImportError, AttributeError):
        return False


def _variant_origin(function: Any) -> VariantOrigin | None:
    base = origin_of(function.__wrapped__)
    if base is None:
        return None
    before = inspect.signature(function.__wrapped__).parameters
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if repr(parameter.default) != repr(before[name].default)
    }
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    return VariantOrigin(base, function.__name__, description, defaults)


def command(origin: Origin | VariantOrigin, statement: str, imports: list[str]) -> str:
    """Return a shell command that runs `statement` after the imports that it needs."""
    code = "; ".join([*imports, *origin.imports, statement])
    quoted = f'"{code}"' if not set(code) & set('"$`\\!') else shlex.quote(code)
    return f"{_settings(origin.module)}python -c {quoted}"


def _settings(module: str) -> str:
    """Return the variables of the command: the backend, and the folder of a module that is not installed."""
    backend = os.environ.get("KERAS_BACKEND")
    settings = [f"KERAS_BACKEND={backend}"] if backend else []
    folder = _folder(module)
    if folder is not None and folder != Path.cwd() and folder not in _site_folders():
        relative = os.path.relpath(folder)
        shown = str(folder) if relative.startswith("..") else relative
        settings.append(f"PYTHONPATH={shlex.quote(shown)}")
    return "".join(f"{setting} " for setting in settings)


def _folder(module: str) -> Path | None:
    """Return the folder that must be on sys.path so that `module` is found."""
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if file is None:
        return None
    path = Path(file).resolve()
    return path.parents[1] if path.name == "__init__.py" else path.parent


def _site_folders() -> set[Path]:
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return {Path(folder).resolve() for folder in folders}
