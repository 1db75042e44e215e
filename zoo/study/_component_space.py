"""The search space of a study's architectures, or of its augmentation policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.registry import Component
from zoo.space import Space, Suggester
from zoo.trial import PluginConfig


@dataclass(frozen=True)
class ComponentSpace:
    """The components of one kind that a study chooses among, each with its space.

    A suggester is asked for `conv_net.dropout`. Where a component has a name in `reserved`, another part
    of the study uses that prefix, and the suggester is asked for `augmentation.conv_net.dropout`.
    """

    kind: str
    components: Mapping[str, Component]
    spaces: Mapping[str, Space]
    reserved: frozenset[str] = frozenset()

    def sample(self, suggester: Suggester) -> PluginConfig:
        names = list(self.spaces)
        name = names[0] if len(names) == 1 else suggester.suggest_categorical(self.kind, names)
        return PluginConfig(name, self.spaces[name].sample(suggester, self._prefix(name)))

    def baseline(self) -> PluginConfig:
        """Return the first component with its defaults."""
        name = next(iter(self.spaces))
        return PluginConfig(name, self.spaces[name].defaults())

    def encode(self, config: PluginConfig) -> dict[str, Any]:
        """Return the suggestions that make `sample` return `config`."""
        choice = {self.kind: config.name} if len(self.spaces) > 1 else {}
        return {**choice, **self.spaces[config.name].encode(config.parameters, self._prefix(config.name))}

    def as_json(self) -> dict[str, Any]:
        return {name: space.as_json() for name, space in self.spaces.items()}

    def _prefix(self, name: str) -> str:
        return f"{self.kind}.{name}." if name in self.reserved else f"{name}."
