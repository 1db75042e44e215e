"""The installed plugins: entry points of group `zoo`, and the metadata of their distributions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from zoo.registry._plugin import ENTRY_POINT_GROUP, Plugin, type_and_text

UNKNOWN_VERSION = "of unknown version"


def installed_plugins(entry_points: Iterable[metadata.EntryPoint] | None = None) -> list[Plugin]:
    """Return the installed plugins, sorted by distribution and name.

    Distributions with an unreadable `entry_points.txt` come first, each as a plugin with a `problem`.
    """
    unreadable: list[Plugin] = []
    if entry_points is None:
        try:
            entry_points = metadata.entry_points(group=ENTRY_POINT_GROUP)
        except Exception:  # a single unreadable entry_points.txt raises an error
            entry_points, unreadable = _read_each_distribution()
    plugins = [_read_plugin(entry_point) for entry_point in entry_points]
    return unreadable + sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.version, plugin.name))


def _read_plugin(entry_point: metadata.EntryPoint) -> Plugin:
    """Return the plugin of an entry point.

    If the metadata of the distribution is damaged, its name is unknown: the entry point's value replaces it.
    """
    name, version, folder = entry_point.value, UNKNOWN_VERSION, ""
    requires: Sequence[str] = ()
    with suppress(Exception):
        if entry_point.dist is not None:
            folder = str(Path(str(entry_point.dist.locate_file(""))).resolve())
            fields = entry_point.dist.metadata
            requires = fields.get_all("Requires-Dist") or ()
            (name, *_), (version, *_) = fields.get_all("Name", [name]), fields.get_all("Version", [version])
    return Plugin(entry_point.name, name, version, entry_point.value, requires, folder)


def _read_each_distribution() -> tuple[list[metadata.EntryPoint], list[Plugin]]:
    """Return the readable entry points, and a plugin with a `problem` for each unreadable distribution."""
    entry_points: list[metadata.EntryPoint] = []
    unreadable = []
    names: set[str] = set()
    for distribution in metadata.distributions():
        name, version = "", UNKNOWN_VERSION
        with suppress(Exception):  # METADATA may be damaged, although entry_points.txt is not
            name, version = distribution.metadata["Name"] or "", distribution.version or UNKNOWN_VERSION
        identity = name or str(distribution.locate_file(""))
        if identity in names:  # Python uses the distribution that comes first on sys.path
            continue
        names.add(identity)
        try:
            entry_points += [point for point in distribution.entry_points if point.group == ENTRY_POINT_GROUP]
        except Exception as error:
            plugin = Plugin("entry_points.txt", name or "a distribution without a name", version)
            plugin.problem = (
                f"{plugin.title} cannot be read: {type_and_text(error).removesuffix('.')}; "
                "reinstall the distribution."
            )
            unreadable.append(plugin)
    return entry_points, unreadable
