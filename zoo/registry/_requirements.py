"""Requirements of distributions: of zoo's version, and of the libraries that plugins need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from zoo._version import __version__
from zoo.registry._installed import UNKNOWN_VERSION, installed_plugins
from zoo.registry._plugin import OWN_DISTRIBUTION, Plugin

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def canonical_name(name: str) -> str:
    """Return a distribution's name as pip writes it: `zoo-resnet` for `Zoo_ResNet`."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def requirement_of(distribution: str, version: str) -> str:
    """Return the requirement for pip: `zoo-resnet==1.2`, or the name alone if the version is unknown."""
    return distribution if version == UNKNOWN_VERSION else f"{distribution}=={version}"


def unmet_requirement(plugin: Plugin) -> str:
    """Return a message if the plugin requires another version of zoo; "" otherwise."""
    for required in _applicable(plugin.requires):
        is_for_zoo = canonical_name(required.name) == OWN_DISTRIBUTION
        if is_for_zoo and not required.specifier.contains(__version__, prereleases=True):
            return (
                f"{plugin.title} requires {OWN_DISTRIBUTION} {required.specifier}, but this is "
                f"{__version__}; run `pip install --upgrade {OWN_DISTRIBUTION} {plugin.distribution}`."
            )
    return ""


def plugin_requirements() -> dict[str, str]:
    """Return the requirement for pip of each installed plugin, loaded or not, by top-level package."""
    plugins = [plugin for plugin in installed_plugins() if plugin.value]
    return {plugin.package: requirement_of(plugin.distribution, plugin.version) for plugin in plugins}


def library_requirements() -> dict[str, str]:
    """Return the requirement for pip of each library that an installed plugin requires, by top-level module.

    What these libraries require in turn counts too. What zoo itself requires counts only if a plugin or one
    of its libraries requires it as well.
    """
    names = _required(line for plugin in installed_plugins() for line in plugin.requires)
    return {
        module: f"{name}=={metadata.version(name)}"
        for module, distributions in metadata.packages_distributions().items()
        for name in distributions
        if canonical_name(name) in names
    }


def _required(lines: Iterable[str]) -> set[str]:
    """Return the canonical names of the distributions that these requirements lead to, except zoo."""
    pending = list(_applicable(lines))
    seen: set[tuple[str, frozenset[str]]] = set()  # name and extras
    while pending:
        required = pending.pop()
        name, extras = canonical_name(required.name), frozenset(required.extras)
        if (name, extras) in seen or name == OWN_DISTRIBUTION:
            continue
        seen.add((name, extras))
        with suppress(metadata.PackageNotFoundError):
            pending += _applicable(metadata.requires(name) or (), extras)
    return {name for name, _ in seen}


def _applicable(lines: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Yield the valid requirements that apply on this machine, with those of the extras."""
    from packaging.requirements import InvalidRequirement, Requirement  # this import takes 13 ms

    for line in lines:
        with suppress(InvalidRequirement):
            required = Requirement(line)
            contexts = [{"extra": extra} for extra in ("", *extras)]
            if required.marker is None or any(required.marker.evaluate(context) for context in contexts):
                yield required
