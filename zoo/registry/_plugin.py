"""One plugin, and one thing that it registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
