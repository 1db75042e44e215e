"""Plugins, and the components that they register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import PluginError
from zoo.space import Space

OWN_DISTRIBUTION = "keras-zoo"

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
    package: str = ""  # its top-level module; "" for a built-in module
    hooks: list[str] = field(default_factory=list)  # those it implements, up to its first error
    registered: list[Component] = field(default_factory=list)
    seconds: float = 0.0  # loading time in this process
    problem: str = ""  # one line that names plugin, distribution and version
    off: bool = False  # excluded by ZOO_PLUGINS

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"

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

    def __str__(self) -> str:
        return f"plugin '{self.name}' of {self.origin}"
