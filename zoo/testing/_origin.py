"""The place from which another process, or a user at a prompt, imports the function under test."""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.space import variant_defaults

Function = Callable[..., Any]


@dataclass(frozen=True)
class Origin:
    """Code that imports a function: a name in a module, or a `zoo.variant` of it that a hook made."""

    module: str
    imports: tuple[str, ...]
    expression: str

    def load(self) -> Function:
        names: dict[str, Any] = {}
        exec("\n".join(self.imports), names)
        function: Function = eval(self.expression, names)
        return function


def origin_of(function: Function) -> Origin | None:
    """Return the origin of `function`; None if it is no name in a module, like an inner function."""
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module and module != "__main__" and all(part.isidentifier() for part in path.split(".")):
        origin = Origin(module, (f"from {module} import {path.partition('.')[0]}",), path)
        with suppress(ImportError, AttributeError):
            if origin.load() is function:
                return origin
    defaults = variant_defaults(function)
    base = None if defaults is None else origin_of(inspect.unwrap(function))
    if base is None or defaults is None:
        return None
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    keywords = "".join(f", {key}={value!r}" for key, value in defaults.items())
    expression = f"variant({base.expression}, {function.__name__!r}, {description!r}{keywords})"
    return Origin(base.module, (*base.imports, "from zoo import variant"), expression)


def command(origin: Origin, statement: str, imports: list[str]) -> str:
    """Return a shell command that runs `statement` after the imports that it needs."""
    code = "; ".join([*imports, *origin.imports, statement])
    quoted = f'"{code}"' if not set(code) & set('"$`\\!') else shlex.quote(code)
    return f"{_variables(origin.module)}python -c {quoted}"


def _variables(module: str) -> str:
    """Return the variables of the command: the backend, and the folder of a module that is not installed."""
    backend = os.environ.get("KERAS_BACKEND")
    variables = [f"KERAS_BACKEND={backend}"] if backend else []
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if file is not None:
        path = Path(file).resolve()
        folder = path.parents[1] if path.name == "__init__.py" else path.parent
        if folder != Path.cwd() and folder.name not in ("site-packages", "dist-packages"):
            relative = os.path.relpath(folder)
            shown = str(folder) if relative.startswith("..") else relative
            variables.append(f"PYTHONPATH={shlex.quote(shown)}")
    return "".join(f"{variable} " for variable in variables)
