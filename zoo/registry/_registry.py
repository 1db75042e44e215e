"""The components of built-in modules and installed plugins: which of them are used, and loaded."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from zoo._version import __version__
from zoo.builtin import MODULES as BUILTIN_MODULES
from zoo.errors import PluginError, did_you_mean, one_line
from zoo.registry._contract import registrations
from zoo.registry._isolation import forget, try_loading
from zoo.registry._plugin import (
    GROUP,
    HOOKS,
    KINDS,
    OWN_DISTRIBUTION,
    Component,
    ContractError,
    Plugin,
    describe_error,
    type_and_text,
)

UNKNOWN_VERSION = "of unknown version"
ONLY = "ZOO_PLUGINS"  # distributions, separated by commas; "" for none


class Registry:
    """All components; made by `Registry.load()`, or in a test by `add` from modules of the test."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._entries: dict[tuple[str, str], list[Component]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
        """Load the built-in modules and the entry points of group `zoo` that `ZOO_PLUGINS` selects.

        A plugin with a problem is left out. An invalid `ZOO_PLUGINS` or `ZOO_PLUGIN_SECONDS` is a ZooError.
        """
        registry = cls._of_built_ins()
        found = installed(entry_points)
        names = selected_names([plugin.distribution for plugin in found])
        for plugin in found:
            plugin.off = plugin.distribution not in names
            plugin.problem = "" if plugin.off else plugin.problem or incompatibility(plugin)
        try_loading([plugin for plugin in found if plugin.state == "loaded"])
        for plugin in found:
            registry._add_installed(plugin)
        return registry

    @classmethod
    def of(cls, plugins: Mapping[str, str]) -> Registry:
        """Load the built-in modules and these plugins only: `DISTRIBUTION:PLUGIN` -> version.

        For a worker process, so that it has the plugins that its parent found to be sound. They are not tried
        in a process of their own again. PluginError if one is not installed any more in this version.
        """
        registry = cls._of_built_ins()
        external = [key for key in plugins if not key.startswith(f"{OWN_DISTRIBUTION}:")]
        by_key = {f"{one.distribution}:{one.name}": one for one in (installed() if external else [])}
        for key in external:
            name, version = key.partition(":")[0], plugins[key]
            if key not in by_key or by_key[key].version != version:
                now = f"its version is {by_key[key].version}" if key in by_key else "it is not installed"
                raise PluginError(
                    f"{name} {version} was installed when the command started, but now {now}. "
                    f"Run `pip install {requirement_of(name, version)}`, or start the command again."
                )
            registry._add_installed(by_key[key])
        return registry

    @classmethod
    def _of_built_ins(cls) -> Registry:
        registry = cls()
        for name in BUILTIN_MODULES:
            plugin = Plugin(name.rpartition(".")[2], OWN_DISTRIBUTION, __version__)
            registry.add(plugin, partial(import_module, name))
        return registry

    def _add_installed(self, plugin: Plugin) -> None:
        if plugin.state != "loaded":
            self.plugins.append(plugin)
            return
        try:
            self.add(plugin, plugin.load)
        except KeyboardInterrupt:
            forget(plugin)  # the user may have interrupted it because it hung
            raise

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Add what a plugin registers in the module that `load` returns; an error becomes its `problem`."""
        self.plugins.append(plugin)
        start = time.perf_counter()
        try:
            # What a plugin prints must not mix with the output of `zoo list --json`.
            with redirect_stdout(sys.stderr):
                components = registrations(plugin, load())
            self._check_names(plugin, components)
            plugin.registered = components
        except KeyboardInterrupt:
            raise
        except ContractError as error:
            plugin.problem = one_line(f"{plugin.title}: {error}")
        except BaseException as error:  # an import may raise SystemExit too
            plugin.problem = f"{plugin.title} could not be loaded: {describe_error(error, plugin.package)}"
        plugin.seconds = time.perf_counter() - start
        for component in plugin.registered:
            self._entries.setdefault((component.kind, component.name), []).append(component)

    def _check_names(self, plugin: Plugin, components: list[Component]) -> None:
        """Raise ContractError for a name that zoo ships: it means the same for everybody."""
        for one in components:
            owners = {other.distribution for other in self._entries.get((one.kind, one.name), [])}
            if OWN_DISTRIBUTION in owners and plugin.distribution != OWN_DISTRIBUTION:
                raise ContractError(
                    f"{HOOKS[one.kind]} registered '{one.name}', a name that zoo itself registers. "
                    "Rename the function."
                )

    @property
    def problems(self) -> list[str]:
        """One line for each problem with what is installed."""
        duplicates = [self._duplicate(entries) for entries in self._entries.values() if len(entries) > 1]
        return [plugin.problem for plugin in self.plugins if plugin.problem] + duplicates

    def names(self, kind: str) -> list[str]:
        return sorted(name for registered_kind, name in self._entries if registered_kind == kind)

    def entries(self) -> list[Component]:
        """Return the usable components, by kind, in the order of their registration."""
        order = list(KINDS)
        usable = [entries[0] for entries in self._entries.values() if len(entries) == 1]
        return sorted(usable, key=lambda one: order.index(one.kind))

    def get(self, kind: str, name: str) -> Component:
        """Return the component of this kind and name; PluginError if there is none or more than one."""
        entries = self._entries.get((kind, name), [])
        if len(entries) == 1:
            return entries[0]
        if entries:
            raise PluginError(self._duplicate(entries))
        hint = did_you_mean(name, self.names(kind))
        raise PluginError(f"There is no {kind} named '{name}'. {hint}{self.left_out()}")

    def find(self, name: str) -> list[Component]:
        """Return the components of this name, of every kind; PluginError if there is none."""
        found = [self.get(kind, name) for kind in KINDS if (kind, name) in self._entries]
        if not found:
            hint = did_you_mean(name, {name for _, name in self._entries})
            raise PluginError(f"Nothing is registered as '{name}'. {hint}{self.left_out()}")
        return found

    def left_out(self) -> str:
        """Return the end of an error about a missing component: the plugins that may have it; "" if none."""
        text = self.left_out_text()
        return f" ({text})" if text else ""

    def left_out_text(self) -> str:
        """Return the plugins that were left out, with the reasons; "" if there are none."""
        reasons = [plugin.problem.removesuffix(".") for plugin in self.plugins if plugin.problem]
        off = sorted({plugin.origin for plugin in self.plugins if plugin.off})
        reasons += [f"{', '.join(off)} by {ONLY}"] if off else []
        return f"Left out: {'; '.join(reasons)}" if reasons else ""

    def _duplicate(self, entries: list[Component]) -> str:
        owners = [f"plugin '{one.plugin}' of {one.origin}" for one in entries]
        distributions = sorted({one.distribution for one in entries} - {OWN_DISTRIBUTION})
        return (
            f"The {entries[0].kind} '{entries[0].name}' is registered more than once: by "
            f"{' and by '.join(owners)}. "
            f"Uninstall {' or '.join(distributions)}, or ask an author to rename it."
        )


def installed(
    entry_points: Iterable[metadata.EntryPoint] | None = None,
) -> list[Plugin]:
    """Return the plugins by distribution and name, after those whose metadata cannot be read."""
    unreadable: list[Plugin] = []
    if entry_points is None:
        try:
            entry_points = metadata.entry_points(group=GROUP)
        except Exception:  # one unreadable entry_points.txt is enough
            entry_points, unreadable = _read_one_by_one()
    found = [_with_distribution(entry_point) for entry_point in entry_points]
    return unreadable + sorted(found, key=lambda one: (one.distribution, one.version, one.name))


def requirement_of(distribution: str, version: str) -> str:
    """Return what pip installs: `zoo-resnet==1.2`, or the name alone if the version is unknown."""
    return distribution if version == UNKNOWN_VERSION else f"{distribution}=={version}"


def plugin_requirements() -> dict[str, str]:
    """Return top-level module -> what pip installs, for every installed plugin, loaded or not."""
    return {one.package: requirement_of(one.distribution, one.version) for one in installed() if one.value}


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


def incompatibility(found: Plugin) -> str:
    """Return why this version of zoo does not fit; "" if it fits."""
    if not found.requires:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement  # 13 ms

    for line in found.requires:
        with suppress(InvalidRequirement):
            required = Requirement(line)
            applies = required.marker is None or required.marker.evaluate({"extra": ""})
            if canonical_name(required.name) != OWN_DISTRIBUTION or not applies:
                continue
            if not required.specifier.contains(__version__, prereleases=True):
                return (
                    f"{found.title} requires {OWN_DISTRIBUTION} {required.specifier}, but this is "
                    f"{__version__}; run `pip install --upgrade {OWN_DISTRIBUTION} {found.distribution}`."
                )
    return ""


def canonical_name(name: str) -> str:
    """Return the spelling that pip uses for all spellings of a distribution's name."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _with_distribution(entry_point: metadata.EntryPoint) -> Plugin:
    """Return the plugin of an entry point; damaged metadata has no name or no version."""
    name, version, folder = entry_point.value, UNKNOWN_VERSION, ""
    requires: Sequence[str] = ()
    with suppress(Exception):
        if entry_point.dist is not None:
            folder = str(Path(str(entry_point.dist.locate_file(""))).resolve())
            fields = entry_point.dist.metadata
            requires = fields.get_all("Requires-Dist") or ()
            (name, *_), (version, *_) = fields.get_all("Name", [name]), fields.get_all("Version", [version])
    return Plugin(entry_point.name, name, version, entry_point.value, requires, folder)


def _read_one_by_one() -> tuple[list[metadata.EntryPoint], list[Plugin]]:
    """Return the entry points that can be read, and a plugin for each distribution whose cannot."""
    found: list[metadata.EntryPoint] = []
    unreadable = []
    names: set[str] = set()
    for distribution in metadata.distributions():
        name, version = "", UNKNOWN_VERSION
        with suppress(Exception):  # METADATA may be damaged where entry_points.txt is not
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
