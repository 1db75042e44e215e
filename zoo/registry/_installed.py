"""The entry points of group `zoo`: whose they are, which zoo they require, which of them are wanted."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from zoo._version import __version__
from zoo.errors import PluginError, did_you_mean
from zoo.registry._place import top_level
from zoo.registry._plugin import OURSELVES, Plugin, raised

GROUP = "zoo"
UNKNOWN_VERSION = "of unknown version"
ONLY = "ZOO_PLUGINS"  # distributions, with commas between them; "" for none


@dataclass(frozen=True)
class Installed:
    """An entry point, and the distribution it came with.

    Args:
        requires: what the distribution requires, as its metadata has it: `keras-zoo>=0.2`.
        place: the folder the distribution's metadata is in; "" where nobody knows.
    """

    entry_point: metadata.EntryPoint
    distribution: str
    version: str
    requires: Sequence[str] = ()
    place: str = ""

    def plugin(self) -> Plugin:
        return Plugin(self.entry_point.name, self.distribution, self.version, self.package)

    @property
    def package(self) -> str:
        """The top-level module, whose name begins that of every other of the plugin's own."""
        return top_level(self.entry_point.value)

    @property
    def requirement(self) -> str:
        """What pip installs: `zoo-resnet==1.2`, or the name alone where there is no version."""
        return requirement_of(self.distribution, self.version)


def installed(
    entry_points: Iterable[metadata.EntryPoint] | None = None,
) -> tuple[list[Installed], list[Plugin]]:
    """Every plugin there is, by distribution and name; and those whose metadata cannot be read.

    Args:
        entry_points: these, instead of those of the installed distributions.
    """
    unreadable: list[Plugin] = []
    if entry_points is None:
        try:
            entry_points = metadata.entry_points(group=GROUP)
        except Exception:  # one unreadable entry_points.txt is enough
            entry_points, unreadable = _one_by_one()
    found = [_described(entry_point) for entry_point in entry_points]
    return sorted(found, key=lambda one: (one.distribution, one.version, one.entry_point.name)), unreadable


def requirement_of(distribution: str, version: str) -> str:
    return distribution if version == UNKNOWN_VERSION else f"{distribution}=={version}"


def plugin_requirements() -> dict[str, str]:
    """Of every plugin, loaded or not: its top-level module, and what pip installs, `zoo-resnet==1.2`."""
    return {one.package: one.requirement for one in installed()[0]}


def wanted_names(known: Collection[str]) -> set[str]:
    """Those of `known`, names of distributions, that `ZOO_PLUGINS` names; all where it is not set.

    Raises:
        PluginError: it names one that is not among `known`.
    """
    chosen = os.environ.get(ONLY)
    if chosen is None:
        return set(known)
    names = {canonical_name(name): name for name in known}
    wanted = [name.strip() for name in chosen.split(",") if name.strip()]
    for name in wanted:
        if canonical_name(name) not in names:
            hint = did_you_mean(name, names.values())
            raise PluginError(f"{ONLY}: no plugin is installed as '{name}'. {hint}")
    return {name for name in known if canonical_name(name) in map(canonical_name, wanted)}


def wrong_zoo(found: Installed) -> str:
    """What is wrong with the zoo it requires, as the end of a sentence; "" if nothing is."""
    for line in found.requires:
        if not re.match(r"keras[-_.]+zoo(?![-_.]?\w)\s*\S", line, re.IGNORECASE):
            continue
        from packaging.requirements import InvalidRequirement, Requirement

        with contextlib.suppress(InvalidRequirement):
            required = Requirement(line)
            counts = required.marker is None or required.marker.evaluate({"extra": ""})
            if counts and not required.specifier.contains(__version__, prereleases=True):
                return (
                    f"requires {OURSELVES} {required.specifier}, but this is {__version__}; "
                    f"pip install --upgrade {OURSELVES} {found.distribution}"
                )
    return ""


def canonical_name(name: str) -> str:
    """One spelling for all that pip takes for one name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _described(entry_point: metadata.EntryPoint) -> Installed:
    """With the distribution's name and version; damaged metadata has neither."""
    facts: Mapping[str, str] = {}
    requires: Sequence[str] = ()
    place = ""
    with contextlib.suppress(Exception):
        if entry_point.dist is not None:
            place = str(Path(str(entry_point.dist.locate_file(""))).resolve())
            read = entry_point.dist.metadata
            facts = {key: read[key] for key in ("Name", "Version") if key in read}
            requires = read.get_all("Requires-Dist") or ()
    name = facts.get("Name", entry_point.value)
    return Installed(entry_point, name, facts.get("Version", UNKNOWN_VERSION), tuple(requires), place)


def _one_by_one() -> tuple[list[metadata.EntryPoint], list[Plugin]]:
    """The entry points that can be read, whatever state the others' metadata is in."""
    found: list[metadata.EntryPoint] = []
    unreadable = []
    names: set[str] = set()
    for distribution in metadata.distributions():
        name, version = "", UNKNOWN_VERSION
        with contextlib.suppress(Exception):  # whatever is wrong with METADATA, the entry points may be sound
            name, version = distribution.metadata["Name"] or "", distribution.version or UNKNOWN_VERSION
        known_by = name or str(getattr(distribution, "_path", distribution))
        if known_by in names:  # hidden by one that comes earlier on sys.path
            continue
        names.add(known_by)
        try:
            found += [point for point in distribution.entry_points if point.group == GROUP]
        except Exception as error:
            plugin = Plugin("entry_points.txt", name or "a distribution without a name", version)
            plugin.problem = f"{plugin.told} cannot be read: {raised(error)}"
            unreadable.append(plugin)
    return found, unreadable
