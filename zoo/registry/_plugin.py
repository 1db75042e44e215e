"""Plugins, the components that they register, digests of their code, and source locations in it."""

from __future__ import annotations

import hashlib
import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import PluginError, ZooError, one_line
from zoo.registry._files import PluginFile
from zoo.space import Space

OWN_DISTRIBUTION = "keras-zoo"
ENTRY_POINT_GROUP = "zoo"

# kind of component -> names of the positional parameters of its function
KINDS: Mapping[str, tuple[str, ...]] = {
    "dataset": (),
    "architecture": ("input_shape", "num_classes"),
    "augmentation": (),
    "metric": ("y_true", "probabilities"),
}
# Names that no metric can have: Keras measures them, and `val_` with them, in every epoch.
RESERVED_METRICS = ("accuracy", "loss")
DIRECTIONS = ("maximize", "minimize")
HOOKS: Mapping[str, str] = {kind: f"register_{kind}s" for kind in KINDS}


class ContractError(PluginError):
    """A violation of the contract. The text does not name the plugin: `Registry.add` adds the name."""


@dataclass(frozen=True)
class Component:
    """A dataset, architecture, augmentation policy or metric, and the plugin that registered it."""

    kind: str
    name: str
    function: Callable[..., Any]
    space: Space
    description: str
    distribution: str
    version: str
    plugin: str = ""  # name of the entry point, or of the built-in module
    file: str = ""  # path of the module that the entry point names; "" for a built-in module
    direction: str = ""  # of a metric, `maximize` or `minimize`; "" for other kinds
    digest: str = ""  # SHA-256 of the plugin file; "" for an entry point or a built-in module

    @property
    def origin(self) -> str:
        """Distribution and version, for messages: `zoo-x 1.0`."""
        return f"{self.distribution} {self.version}"


def plugin_versions(*components: Component) -> dict[str, str]:
    """Return the versions of the plugins that register these components, as `Registry.load_only` takes them.

    The keys are `DISTRIBUTION:PLUGIN`.
    """
    versions = {f"{component.distribution}:{component.plugin}": component.version for component in components}
    return dict(sorted(versions.items()))


def distribution_versions(*components: Component) -> dict[str, str]:
    """Return the version of each distribution that registers one of these components, sorted by name."""
    return dict(sorted({component.distribution: component.version for component in components}.items()))


@dataclass
class Plugin:
    """An installed plugin: a built-in module or an entry point."""

    name: str
    distribution: str
    version: str
    value: str = ""  # value of the entry point, such as `zoo_x.nets`; "" for a built-in module
    requires: Sequence[str] = ()  # requirements of the distribution, such as `keras-zoo>=0.2`
    folder: str = ""  # folder that contains the distribution's metadata; "" if unknown
    hooks: list[str] = field(default_factory=list)  # hooks that the plugin implements, up to its first error
    components: list[Component] = field(default_factory=list)
    load_s: float = 0.0  # loading time in this process
    problem: str = ""  # one line that names plugin, distribution and version
    is_off: bool = False  # ZOO_PLUGINS excludes the plugin
    file: PluginFile | None = None  # a plugin file takes the place of an entry point

    @classmethod
    def of_file(cls, file: PluginFile) -> Plugin:
        """Return the plugin of a plugin file: its distribution is the file's name, its version the digest."""
        return cls(file.module, file.name, file.version, file.module, file=file)

    @property
    def origin(self) -> str:
        """Distribution and version, for messages: `zoo-x 1.0`."""
        return f"{self.distribution} {self.version}"

    @property
    def package(self) -> str:
        """The top-level package or module of the plugin, such as `zoo_x`; "" for a built-in module."""
        return top_level_package(self.value)

    @property
    def state(self) -> str:
        """`loaded`, `left out` (because of the `problem`) or `off`."""
        if self.problem:
            return "left out"
        return "off" if self.is_off else "loaded"

    @property
    def title(self) -> str:
        """The first words of a message about the plugin: `Plugin 'x' of zoo-x 1.0`."""
        if self.file is not None:
            return f"the plugin file {self.file.name}"
        return f"Plugin '{self.name}' of {self.origin}"


def component_code_digest(component: Component) -> str:
    """Return the SHA-256 of the Python files of the component's package, sub-packages included.

    If the component's module is in no package, the digest covers the module. For a component of zoo itself,
    it covers the folder of the module, for one of a plugin file the file. Code without a file, as in a
    notebook, adds nothing to the digest.
    """
    return component.digest or _digest(_files_to_digest(component))


def distribution_digests(*components: Component) -> dict[str, str]:
    """Return the SHA-256 of the plugin code of each distribution of these components.

    keras-zoo itself has none, because its version identifies its code.
    """
    modules: dict[str, set[Path]] = {}
    digests: dict[str, str] = {}
    for component in components:
        if component.digest:
            digests[component.distribution] = component.digest
        elif component.file:
            modules.setdefault(component.distribution, set()).update(_files_to_digest(component))
    digests |= {name: _digest(files) for name, files in modules.items()}
    return dict(sorted(digests.items()))


def _files_to_digest(component: Component) -> set[Path]:
    """Return files of the component's code; an `__init__.py` stands for its whole package."""
    modules = {Path(component.file)} if component.file else set()
    with suppress(TypeError):  # the function is not written in Python
        modules.add(Path(inspect.getsourcefile(inspect.unwrap(component.function)) or ""))
    if component.distribution == OWN_DISTRIBUTION:
        return {module.with_name("__init__.py") for module in modules}
    return {_outermost_package(module) for module in modules}


def _outermost_package(module: Path) -> Path:
    """Return the `__init__.py` of the outermost package that contains `module`; `module` if there is none."""
    folder = module.parent
    while (folder / "__init__.py").is_file():
        module, folder = folder / "__init__.py", folder.parent
    return module


def _digest(modules: Iterable[Path]) -> str:
    """Return the SHA-256 of the files; for each `__init__.py`, of all Python files of its package."""
    digest = hashlib.sha256()
    for module in sorted(modules):
        # Paths are relative to the package: the same code in another folder has the same digest.
        is_package = module.name == "__init__.py"
        for file in sorted(module.parent.rglob("*.py")) if is_package else [module]:
            with suppress(OSError):  # the module is in a zip archive, or has no file
                content = file.read_bytes()
                digest.update(f"{file.relative_to(module.parent)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def top_level_package(module: str) -> str:
    """Return the first part of a module's name or an entry point's value: `zoo_x` for `zoo_x.nets:net`."""
    return re.split(r"[.:\s]", module, maxsplit=1)[0]


def path_in_package(path: str, package: str) -> str | None:
    """Return the part of `path` from the folder `package` on, such as `zoo_x/nets.py`; None without it."""
    parts = Path(path).with_suffix("").parts
    if package not in parts:
        return None
    start = len(parts) - 1 - parts[::-1].index(package)
    return "/".join(Path(path).parts[start:])


def source_location(error: BaseException, package: str) -> str:
    """Return the innermost line of `package` in the traceback: `zoo_x/nets.py:12`; "" if there is none.

    `package` may be a sub-package, such as `zoo.builtin`.
    """
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if f"{frame.f_globals.get('__name__', '')}.".startswith(f"{package}."):
            path = path_in_package(frame.f_code.co_filename, top_level_package(package))
            location = f"{path}:{line}" if path else location
    return location


def describe_with_location(error: BaseException, package: str) -> str:
    """Return the error and the innermost line of `package`: `KeyError: 'a' (zoo_x/nets.py:12)`."""
    # The text of zoo's own errors is a whole sentence, so their class is not shown.
    text = one_line(error) if isinstance(error, ZooError) else type_and_text(error)
    location = source_location(error, package)
    if isinstance(error, SyntaxError) and (path := path_in_package(error.filename or "", package)):
        text, location = f"{type(error).__name__}: {error.msg}", f"{path}:{error.lineno}"
    return f"{text.removesuffix('.')} ({location})" if location else text


def type_and_text(error: BaseException) -> str:
    """Return the class and the text of an error in one line: `KeyError: 'a'`."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
