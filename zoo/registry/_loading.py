"""Loading the module of a plugin: of an entry point, or of a plugin file.

A plugin file may import Keras at its top, since it has no other module for its layers. But the supervisor
must not import Keras, and `zoo list` must be fast. They only need the signatures of the functions, so they
execute the file with a `StandIn` in place of Keras. Worker processes import the file with Keras.
"""

from __future__ import annotations

import builtins
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from zoo.errors import PluginError
from zoo.registry._files import PluginFile, imports_keras
from zoo.registry._plugin import ENTRY_POINT_GROUP, ContractError, Plugin

# Importing one of these packages takes seconds, and importing Keras in the supervisor would reserve a GPU.
HEAVY_PACKAGES = ("jax", "keras", "matplotlib", "mlflow", "optuna", "pandas", "tensorflow", "torch")

_ATTRIBUTE = "__zoo_plugin_file__"  # of a module: the digest of the plugin file that it was made from
_CHANGES_STATE = ("set_", "enable_", "disable_", "use_", "clear_")  # first letters of such functions


def load_plugin(plugin: Plugin) -> Any:
    """Return the module of a plugin; of a plugin file with Keras only if this process may import Keras."""
    if plugin.file is None:
        return EntryPoint(plugin.name, plugin.value, ENTRY_POINT_GROUP).load()
    return import_file(plugin.file) if imports_keras() else read_file(plugin.file)


def import_file(file: PluginFile) -> ModuleType:
    """Return the module of a plugin file, imported under the file's name; once for the same content.

    Raises:
        PluginError: another module has this name. Any error of the file's code.
    """
    present = sys.modules.get(file.module)
    if present is not None and not hasattr(present, _ATTRIBUTE):
        path = Path(str(getattr(present, "__file__", None)))
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.digest:
            return present
        raise PluginError(
            f"the module '{file.module}' is already imported from {path}, with other code than the plugin "
            f"file {file.path}; start a new process, or restart the notebook's kernel."
        )
    if present is not None and imported_digest(file.module) == file.digest:
        return present
    module = _new_module(file)
    with _in_sys_modules(file.module, module, is_kept=True):
        _execute(file, module)
    return module


def read_file(file: PluginFile) -> ModuleType:
    """Return a module with the signatures of a plugin file; its functions must not be called."""
    module = _new_module(file)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import_with_stand_ins}
    with _in_sys_modules(file.module, module, is_kept=False):
        _execute(file, module)
    return module


def imported_digest(module: str) -> str:
    """Return the digest of the plugin file that an imported module was made from; "" if there is none."""
    return str(getattr(sys.modules.get(module), _ATTRIBUTE, ""))


def _new_module(file: PluginFile) -> ModuleType:
    module = ModuleType(file.module)
    module.__file__ = str(file.path)
    module.__spec__ = ModuleSpec(file.module, None, origin=str(file.path))
    setattr(module, _ATTRIBUTE, file.digest)
    return module


def _execute(file: PluginFile, module: ModuleType) -> None:
    exec(compile(file.source, str(file.path), "exec", dont_inherit=True), vars(module))


@contextmanager
def _in_sys_modules(name: str, module: ModuleType, *, is_kept: bool) -> Iterator[None]:
    """Put a module into `sys.modules`, which `dataclasses` needs; after the block only if `is_kept`."""
    before = sys.modules.get(name)
    sys.modules[name] = module
    is_complete = False
    try:
        yield
        is_complete = True
    finally:
        if not (is_kept and is_complete):
            if before is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = before


# --- stand-ins


def _import_with_stand_ins(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    """Do what `import` does, but return a `StandIn` for a heavy package that is installed."""
    top = name.partition(".")[0]
    if level or top not in HEAVY_PACKAGES or (top not in sys.modules and PathFinder.find_spec(top) is None):
        return builtins.__import__(name, globals, locals, fromlist, level)
    return StandIn(name if fromlist else top)


class StandIn:
    """The stand-in for an object of a heavy package, such as `keras.layers.Layer`, while signatures are read.

    It has every attribute, it can be called and be a base class, and as a decorator it changes nothing.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._path}.{name}")

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._path.rpartition(".")[2].startswith(_CHANGES_STATE):
            raise ContractError(
                f"{_caller()}changes global state when it is loaded: {self._path}; "
                "move this call into the function that needs it."
            )
        if len(arguments) == 1 and not options and callable(arguments[0]):
            decorated = arguments[0]
            if not isinstance(decorated, StandIn):
                return decorated
        return StandIn(f"{self._path}(…)")

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return ()

    def __repr__(self) -> str:
        return self._path

    def __or__(self, other: Any) -> Any:  # in `keras.Model | None`
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str | int | float):  # as in `keras.backend.backend() == "jax"`
            _refuse(self)
        return self is other  # `typing` compares annotations

    __ror__ = __or__
    __hash__ = object.__hash__


def _refuse(self: StandIn, *_: Any) -> NoReturn:
    raise ContractError(
        f"{_caller()}computes with {self} when it is loaded, and zoo reads a plugin file without "
        f"{self._path.partition('.')[0]}; move this code into the function that needs it."
    )


def _caller() -> str:
    """Return the line of the plugin file that is being executed: `my_net.py:12 `."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} "


for _operator in (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "mod", "pow", "neg"),
    *("lt", "le", "gt", "ge", "bool", "len", "iter", "getitem", "contains", "int", "float", "index"),
    *("enter", "exit"),
):
    setattr(StandIn, f"__{_operator}__", _refuse)
