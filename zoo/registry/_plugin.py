"""One plugin, and one thing that it registered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import PluginError, one_line
from zoo.space import Space

OURSELVES = "keras-zoo"

# kind -> the positional parameters its functions take before the keyword-only ones
KINDS: Mapping[str, tuple[str, ...]] = {
    "dataset": (),
    "architecture": ("input_shape", "num_classes"),
    "augmentation": (),
}
HOOKS: Mapping[str, str] = {kind: f"register_{kind}s" for kind in KINDS}


class Breach(PluginError):
    """What a plugin did that the contract forbids; whoever catches it says whose plugin it is."""


@dataclass(frozen=True)
class Component:
    """One dataset, architecture or augmentation policy, and where it came from."""

    kind: str
    name: str
    function: Callable[..., Any]
    space: Space
    description: str
    distribution: str
    version: str
    plugin: str = ""  # the name of the entry point, or of the built-in module
    file: str = ""  # of the module that the entry point names; "" for one of zoo's own

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"


def plugin_versions(*entries: Component) -> dict[str, str]:
    """`DISTRIBUTION:PLUGIN` → version of the plugins that registered these: what `Registry.of` takes."""
    return dict(sorted({f"{one.distribution}:{one.plugin}": one.version for one in entries}.items()))


def distribution_versions(*entries: Component) -> dict[str, str]:
    """Distribution → version of everything these came from, by name."""
    return dict(sorted({entry.distribution: entry.version for entry in entries}.items()))


def distribution_digests(*entries: Component) -> dict[str, str]:
    """Distribution → digest of the Python files of its plugins; without zoo's own, which has a version."""
    files: dict[str, set[Path]] = {}
    for one in entries:
        if one.file:
            files.setdefault(one.distribution, set()).add(Path(one.file))
    return {name: _digest(files[name]) for name in sorted(files)}


def _digest(modules: Iterable[Path]) -> str:
    """Of every module that is a file, its text; of a package, every Python file's in it and below."""
    digest = hashlib.sha256()
    for module in sorted(modules):
        # A folder's path is left out: the same code elsewhere is the same code.
        is_package = module.name == "__init__.py"
        for file in sorted(module.parent.rglob("*.py")) if is_package else [module]:
            with suppress(OSError):  # it may be in an archive
                content = file.read_bytes()
                digest.update(f"{file.relative_to(module.parent)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@dataclass
class Plugin:
    """One installed plugin: a built-in module or an entry point."""

    name: str
    distribution: str
    version: str
    package: str = ""  # its top-level module; "" for one of zoo's own
    hooks: list[str] = field(default_factory=list)  # those it implements, as far as it got
    registered: list[Component] = field(default_factory=list)
    seconds: float = 0.0  # that loading it took, in this process
    problem: str = ""  # one line that names plugin, distribution and version
    off: bool = False  # not among those that ZOO_PLUGINS names

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def state(self) -> str:
        """`loaded`, `left out` (`problem` says why) or `off`."""
        if self.problem:
            return "left out"
        return "off" if self.off else "loaded"

    def __str__(self) -> str:
        return f"plugin '{self.name}' of {self.origin}"

    @property
    def told(self) -> str:
        """As `str`, for the beginning of a sentence."""
        text = str(self)
        return text[0].upper() + text[1:]


def raised(error: BaseException) -> str:
    """The type of an error and what it says, in one line."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
