"""The libraries that installed plugins require: a saved model may have layers of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from zoo.registry._plugin import OWN_DISTRIBUTION
from zoo.registry._registry import canonical_name, installed_plugins

if TYPE_CHECKING:
    from packaging.requirements import Requirement


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
    pending = list(_applicable(lines, extras=()))
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


def _applicable(lines: Iterable[str], extras: Iterable[str]) -> Iterator[Requirement]:
    """Yield the requirements that apply on this machine, with those of the extras."""
    from packaging.requirements import InvalidRequirement, Requirement  # this import takes 13 ms

    for line in lines:
        with suppress(InvalidRequirement):
            required = Requirement(line)
            contexts = [{"extra": extra} for extra in ("", *extras)]
            if required.marker is None or any(required.marker.evaluate(context) for context in contexts):
                yield required
