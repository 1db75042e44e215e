"""Installed entry points of group `zoo`: their distributions, and which of them are used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from zoo._version import __version__
from zoo.errors import PluginError, did_you_mean
from zoo.registry._plugin import OWN_DISTRIBUTION, Plugin, top_level, type_and_text

GROUP = "zoo"
UNKNOWN_VERSION = "of unknown version"
ONLY = "ZOO_PLUGINS"  # distributions, separated by commas; "" for none


@dataclass(frozen=True)
class Installed:
    """An entry point and its distribution."""

    entry_point: metadata.EntryPoint
    distribution: str
    version: str
    requires: Sequence[str] = ()  # requirements in the distribution's metadata: `keras-zoo>=0.2`
    folder: str = ""  # of the distribution's metadata; "" if it is unknown

    def plugin(self) -> Plugin:
        return Plugin(self.entry_point.name, self.distribution, self.version, self.package)

    @property
    def package(self) -> str:
        """The top-level module, with which the names of the plugin's other modules begin."""
        return top_level(self.entry_point.value)


def installed(
    entry_points: Iterable[metadata.EntryPoint] | None = None,
) -> tuple[list[Installed], list[Plugin]]:
    """Return every plugin, by distribution and name, and the plugins whose metadata cannot be read."""
    unreadable: list[Plugin] = []
    if entry_points is None:
        try:
            entry_points = metadata.entry_points(group=GROUP)
        except Exception:  # one unreadable entry_points.txt is enough
            entry_points, unreadable = _read_one_by_one()
    found = [_with_distribution(entry_point) for entry_point in entry_points]
    return sorted(found, key=lambda one: (one.distribution, one.version, one.entry_point.name)), unreadable


def requirement_of(distribution: str, version: str) -> str:
    """Return what pip installs: `zoo-resnet==1.2`, or the name alone if the version is unknown."""
    return distribution if version == UNKNOWN_VERSION else f"{distribution}=={version}"


def plugin_requirements() -> dict[str, str]:
    """Return top-level module -> what pip installs, for every installed plugin, loaded or not."""
    return {one.package: requirement_of(one.distribution, one.version) for one in installed()[0]}


def selected_names(names: Collection[str]) -> set[str]:
    """Return those of the distributions `names` that `ZOO_PLUGINS` selects; all if it is not set.

    Raises PluginError if it selects another one.
    """
    selection = os.environ.get(ONLY)
    if selection is None:
        return set(names)
    by_canonical_name = {canonical_name(name): name for name in names}
    wanted = [name.strip() for name in selection.split(",") if name.strip()]
    for name in wanted:
        if canonical_name(name) not in by_canonical_name:
            hint = did_you_mean(name, names)
            raise PluginError(f"{ONLY}: no installed distribution with plugins is named '{name}'. {hint}")
    return {by_canonical_name[canonical_name(name)] for name in wanted}


def incompatibility(found: Installed) -> str:
    """Return why this version of zoo does not fit, as the end of a sentence; "" if it fits."""
    if not found.requires:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement  # 13 ms

    for line in found.requires:
        with contextlib.suppress(InvalidRequirement):
            required = Requirement(line)
            applies = required.marker is None or required.marker.evaluate({"extra": ""})
            if canonical_name(required.name) != OWN_DISTRIBUTION or not applies:
                continue
            if not required.specifier.contains(__version__, prereleases=True):
                return (
                    f"requires {OWN_DISTRIBUTION} {required.specifier}, but this is {__version__}; "
                    f"run `pip install --upgrade {OWN_DISTRIBUTION} {found.distribution}`."
                )
    return ""


def canonical_name(name: str) -> str:
    """Return the spelling that pip uses for all spellings of a distribution's name."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _with_distribution(entry_point: metadata.EntryPoint) -> Installed:
    """Add the distribution to an entry point; damaged metadata has no name or no version."""
    name, version, folder = entry_point.value, UNKNOWN_VERSION, ""
    requires: Sequence[str] = ()
    with contextlib.suppress(Exception):
        if entry_point.dist is not None:
            folder = str(Path(str(entry_point.dist.locate_file(""))).resolve())
            fields = entry_point.dist.metadata
            requires = fields.get_all("Requires-Dist") or ()
            (name, *_), (version, *_) = fields.get_all("Name", [name]), fields.get_all("Version", [version])
    return Installed(entry_point, name, version, tuple(requires), folder)


def _read_one_by_one() -> tuple[list[metadata.EntryPoint], list[Plugin]]:
    """Return the entry points that can be read, and a plugin for each distribution whose cannot."""
    found: list[metadata.EntryPoint] = []
    unreadable = []
    names: set[str] = set()
    for distribution in metadata.distributions():
        name, version = "", UNKNOWN_VERSION
        with contextlib.suppress(Exception):  # METADATA may be damaged where entry_points.txt is not
            name, version = distribution.metadata["Name"] or "", distribution.version or UNKNOWN_VERSION
        identity = name or str(distribution.locate_file(""))
        if identity in names:  # hidden by one that comes earlier on sys.path
            continue
        names.add(identity)
        try:
            found += [point for point in distribution.entry_points if point.group == GROUP]
        except Exception as error:
            plugin = Plugin("entry_points.txt", name or "a distribution without a name", version)
            plugin.problem = f"{plugin.title} cannot be read: {type_and_text(error)}"
            unreadable.append(plugin)
    return found, unreadable
