"""The components of built-in modules and installed plugins."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module, metadata
from typing import Any

from zoo._version import __version__
from zoo.builtin import MODULES as BUILTIN_MODULES
from zoo.errors import PluginError, did_you_mean, one_line
from zoo.registry._contract import registrations
from zoo.registry._installed import (
    ONLY,
    Installed,
    incompatibility,
    installed,
    requirement_of,
    selected_names,
)
from zoo.registry._isolation import forget, loading_problems
from zoo.registry._plugin import (
    HOOKS,
    KINDS,
    OWN_DISTRIBUTION,
    Component,
    ContractError,
    Plugin,
    describe_error,
)


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
        found, unreadable = installed(entry_points)
        names = selected_names([one.distribution for one in found] + [one.distribution for one in unreadable])
        selected = [one for one in found if one.distribution in names]
        misfits = {one: f"{one.plugin().title} {text}" for one in selected if (text := incompatibility(one))}
        problems = {**misfits, **loading_problems([one for one in selected if one not in misfits])}
        registry.plugins += [plugin for plugin in unreadable if plugin.distribution in names]
        for one in found:
            if one in selected:
                registry._add_installed(one, problems[one])
            else:
                registry.plugins.append(replace(one.plugin(), off=True))
        return registry

    @classmethod
    def of(cls, plugins: Mapping[str, str]) -> Registry:
        """Load the built-in modules and these plugins only: `DISTRIBUTION:PLUGIN` -> version.

        For a worker process, so that it has the plugins that its parent found to be sound. They are not tried
        in a process of their own again. PluginError if one is not installed any more in this version.
        """
        registry = cls._of_built_ins()
        external = [key for key in plugins if not key.startswith(f"{OWN_DISTRIBUTION}:")]
        found = installed()[0] if external else []
        by_key = {f"{one.distribution}:{one.entry_point.name}": one for one in found}
        for key in external:
            name, version = key.partition(":")[0], plugins[key]
            if key not in by_key or by_key[key].version != version:
                now = f"its version is {by_key[key].version}" if key in by_key else "it is not installed"
                raise PluginError(
                    f"{name} {version} was installed when the command started, but now {now}. "
                    f"Run `pip install {requirement_of(name, version)}`, or start the command again."
                )
            registry._add_installed(by_key[key], "")
        return registry

    @classmethod
    def _of_built_ins(cls) -> Registry:
        registry = cls()
        for name in BUILTIN_MODULES:
            plugin = Plugin(name.rpartition(".")[2], OWN_DISTRIBUTION, __version__)
            registry.add(plugin, partial(import_module, name))
        return registry

    def _add_installed(self, found: Installed, problem: str) -> None:
        plugin = found.plugin()
        if problem:
            plugin.problem = problem
            self.plugins.append(plugin)
            return
        try:
            self.add(plugin, found.entry_point.load)
        except KeyboardInterrupt:
            forget(found)  # the user may have interrupted it because it hung
            raise

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Add what a plugin registers in the module that `load` returns; an error becomes its `problem`."""
        self.plugins.append(plugin)
        start = time.perf_counter()
        try:
            # What a plugin prints must not mix with the output of `zoo list --json`.
            with contextlib.redirect_stdout(sys.stderr):
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
