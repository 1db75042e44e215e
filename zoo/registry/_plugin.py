"""Plugins, the components that they register, digests of their code, and places in it: `zoo_x/nets.py:12`."""

from __future__ import annotations

import hashlib
import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from zoo.errors import PluginError, ZooError, one_line
from zoo.space import Space

OWN_DISTRIBUTION = "keras-zoo"
GROUP = "zoo"  # of entry points

# kind -> positional parameters that its functions take before the keyword-only ones
KINDS: Mapping[str, tuple[str, ...]] = {
    "dataset": (),
    "architecture": ("input_shape", "num_classes"),
    "augmentation": (),
}
HOOKS: Mapping[str, str] = {kind: f"register_{kind}s" for kind in KINDS}


class ContractError(PluginError):
    """A plugin broke the contract. The text does not name the plugin."""


@dataclass(frozen=True)
class Component:
    """A dataset, architecture or augmentation policy, and the plugin that registered it."""

    kind: str
    name: str
    function: Callable[..., Any]
    space: Space
    description: str
    distribution: str
    version: str
    plugin: str = ""  # name of the entry point, or of the built-in module
    file: str = ""  # of the module that the entry point names; "" for a built-in module

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"


def plugin_versions(*components: Component) -> dict[str, str]:
    """Return `DISTRIBUTION:PLUGIN` -> version of the plugins of these components, for `Registry.of`."""
    return dict(sorted({f"{one.distribution}:{one.plugin}": one.version for one in components}.items()))


def distribution_versions(*components: Component) -> dict[str, str]:
    """Return distribution -> version of these components, sorted by name."""
    return dict(sorted({one.distribution: one.version for one in components}.items()))


@dataclass
class Plugin:
    """An installed plugin: a built-in module or an entry point."""

    name: str
    distribution: str
    version: str
    value: str = ""  # of the entry point, such as `zoo_x.nets`; "" for a built-in module
    requires: Sequence[str] = ()  # requirements in the distribution's metadata: `keras-zoo>=0.2`
    folder: str = ""  # of the distribution's metadata; "" if it is unknown
    hooks: list[str] = field(default_factory=list)  # those it implements, up to its first error
    registered: list[Component] = field(default_factory=list)
    seconds: float = 0.0  # loading time in this process
    problem: str = ""  # one line that names plugin, distribution and version
    off: bool = False  # excluded by ZOO_PLUGINS

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def package(self) -> str:
        """The top-level module, with which the names of the plugin's other modules begin; "" if built in."""
        return top_level(self.value)

    def load(self) -> Any:
        """Return what the entry point names."""
        return EntryPoint(self.name, self.value, GROUP).load()

    @property
    def state(self) -> str:
        """`loaded`, `left out` (because of its `problem`) or `off`."""
        if self.problem:
            return "left out"
        return "off" if self.off else "loaded"

    @property
    def title(self) -> str:
        """The plugin at the start of a sentence."""
        return f"Plugin '{self.name}' of {self.origin}"


def component_code_digest(component: Component) -> str:
    """Return the SHA-256 of the Python files of the component's package, sub-packages included.

    A function that lies in no package has the digest of its module. Of zoo's own components only the folder
    of the module counts. Code that has no file, as in a notebook, adds nothing to the digest.
    """
    return _digest(_modules(component))


def distribution_digests(*components: Component) -> dict[str, str]:
    """Return distribution -> SHA-256 of its plugins' code; zoo itself is left out, its version is enough."""
    modules: dict[str, set[Path]] = {}
    for component in components:
        if component.file:
            modules.setdefault(component.distribution, set()).update(_modules(component))
    return {name: _digest(modules[name]) for name in sorted(modules)}


def _modules(component: Component) -> set[Path]:
    """Return the files to digest: of each package its `__init__.py`, of other modules the module itself."""
    modules = {Path(component.file)} if component.file else set()
    with suppress(TypeError):  # it is not written in Python
        modules.add(Path(inspect.getsourcefile(inspect.unwrap(component.function)) or ""))
    if component.distribution == OWN_DISTRIBUTION:
        return {module.with_name("__init__.py") for module in modules}
    return {_outermost_package(module) for module in modules}


def _outermost_package(module: Path) -> Path:
    folder = module.parent
    while (folder / "__init__.py").is_file():
        module, folder = folder / "__init__.py", folder.parent
    return module


def _digest(modules: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for module in sorted(modules):
        # Paths are relative to the package: the same code in another place has the same digest.
        is_package = module.name == "__init__.py"
        for file in sorted(module.parent.rglob("*.py")) if is_package else [module]:
            with suppress(OSError):  # an archive, or not a file
                content = file.read_bytes()
                digest.update(f"{file.relative_to(module.parent)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def top_level(module: str) -> str:
    """Return the package of a module or entry point: `zoo_x` of `zoo_x.nets` and `zoo_x.nets:net`."""
    return re.split(r"[.:\s]", module, maxsplit=1)[0]


def path_in_package(path: str, package: str) -> str | None:
    """Return the path of a file from the package's folder on; None if the file is not in the package."""
    parts = Path(path).with_suffix("").parts
    if package not in parts:
        return None
    start = len(parts) - 1 - parts[::-1].index(package)
    return "/".join(Path(path).parts[start:])


def source_location(error: BaseException, package: str) -> str:
    """Return the innermost line of `package` in the traceback, `zoo_x/nets.py:12`; "" if there is none.

    The package may be a part of another one: for `zoo.builtin`, `zoo/builtin/architectures/_parts.py:12`.
    """
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if f"{frame.f_globals.get('__name__', '')}.".startswith(f"{package}."):
            path = path_in_package(frame.f_code.co_filename, top_level(package))
            location = f"{path}:{line}" if path else location
    return location


def describe_error(error: BaseException, package: str) -> str:
    """Return the error and the innermost line of the plugin: `KeyError: 'a' (zoo_x/nets.py:12)`."""
    # The class of zoo's own errors adds nothing to their text.
    text = one_line(error) if isinstance(error, ZooError) else type_and_text(error)
    location = source_location(error, package)
    if isinstance(error, SyntaxError) and (path := path_in_package(error.filename or "", package)):
        text, location = f"{type(error).__name__}: {error.msg}", f"{path}:{error.lineno}"
    return f"{text.removesuffix('.')} ({location})" if location else text


def type_and_text(error: BaseException) -> str:
    """Return the type of an error and its text, in one line."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
