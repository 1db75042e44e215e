"""Everything registered, from built-ins and plugins alike."""

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
from zoo.registry._installed import ONLY, Installed, installed, requirement_of, wanted_names, wrong_zoo
from zoo.registry._place import raised_at
from zoo.registry._plugin import HOOKS, KINDS, OURSELVES, Breach, Component, Plugin
from zoo.registry._verdict import forget, verdicts


class Registry:
    """Everything registered; made by `Registry.load()`, or in a test from modules of one's own."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._entries: dict[tuple[str, str], list[Component]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
        """The built-ins and every installed entry point of group `zoo` that `ZOO_PLUGINS` lets in.

        A plugin at fault is left out, and its `problem` says why.

        Raises:
            PluginError: `ZOO_PLUGINS` names what is not installed.
            ZooError: `ZOO_PLUGIN_SECONDS` is not a number of seconds.
        """
        registry = cls._of_built_ins()
        found, unreadable = installed(entry_points)
        names = wanted_names([one.distribution for one in found] + [one.distribution for one in unreadable])
        wanted = [one for one in found if one.distribution in names]
        wrong = {one: f"{one.plugin().told} {problem}" for one in wanted if (problem := wrong_zoo(one))}
        judged = {**wrong, **verdicts([one for one in wanted if one not in wrong])}
        registry.plugins += [one for one in unreadable if one.distribution in names]
        for one in found:
            if one in wanted:
                registry._add_installed(one, judged[one])
            else:
                registry.plugins.append(replace(one.plugin(), off=True))
        return registry

    @classmethod
    def of(cls, plugins: Mapping[str, str]) -> Registry:
        """The built-ins and these plugins alone: `DISTRIBUTION:PLUGIN` → version.

        For a process that another one started, which found them in order: nothing is tried or timed
        again, so that both come to the same.

        Raises:
            PluginError: one of them is gone, or there in another version.
        """
        registry = cls._of_built_ins()
        others = [key for key in plugins if not key.startswith(f"{OURSELVES}:")]
        known = (
            {f"{one.distribution}:{one.entry_point.name}": one for one in installed()[0]} if others else {}
        )
        for key in others:
            name, version = key.partition(":")[0], plugins[key]
            if key not in known or known[key].version != version:
                there = f"{known[key].version} is" if key in known else "it is not"
                raise PluginError(
                    f"{name} {version} was installed when this began, but now {there}; "
                    f"pip install {requirement_of(name, version)}, or begin again."
                )
            registry._add_installed(known[key], "")
        return registry

    @classmethod
    def _of_built_ins(cls) -> Registry:
        registry = cls()
        for name in BUILTIN_MODULES:
            plugin = Plugin(name.rpartition(".")[2], OURSELVES, __version__)
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
            forget(found)  # it may well be this plugin that took too long
            raise

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Load one plugin and take what it registers; a breach of contract becomes its `problem`."""
        self.plugins.append(plugin)
        began = time.perf_counter()
        try:
            # What a plugin prints must not get into the output of `zoo list --json`.
            with contextlib.redirect_stdout(sys.stderr):
                entries = registrations(plugin, load())
            self._check_free(plugin, entries)
            plugin.registered = entries
        except KeyboardInterrupt:
            raise
        except Breach as error:
            plugin.problem = one_line(f"{plugin.told}: {error}")
        except BaseException as error:  # whatever an import can raise, SystemExit among it
            plugin.problem = f"{plugin.told} could not be loaded: {raised_at(error, plugin.package)}"
        plugin.seconds = time.perf_counter() - began
        for entry in plugin.registered:
            self._entries.setdefault((entry.kind, entry.name), []).append(entry)

    def _check_free(self, plugin: Plugin, entries: list[Component]) -> None:
        """Zoo's own names mean the same for everybody, whatever is installed."""
        for entry in entries:
            owners = {other.distribution for other in self._entries.get((entry.kind, entry.name), [])}
            if OURSELVES in owners and plugin.distribution != OURSELVES:
                raise Breach(
                    f"{HOOKS[entry.kind]} registered '{entry.name}', which is the name of one of zoo's own; "
                    "rename it."
                )

    @property
    def problems(self) -> list[str]:
        """One line for everything that is wrong with what is installed."""
        twice = [self._ambiguous(entries) for entries in self._entries.values() if len(entries) > 1]
        return [plugin.problem for plugin in self.plugins if plugin.problem] + twice

    def names(self, kind: str) -> list[str]:
        return sorted(name for of_kind, name in self._entries if of_kind == kind)

    def entries(self) -> list[Component]:
        """Everything that can be used, by kind, in the order in which it was registered."""
        order = list(KINDS)
        usable = [entries[0] for entries in self._entries.values() if len(entries) == 1]
        return sorted(usable, key=lambda entry: order.index(entry.kind))

    def get(self, kind: str, name: str) -> Component:
        """The `kind` registered as `name`.

        Raises:
            PluginError: there is none (with the likely spelling, and the plugins that failed), or
                two plugins registered that name.
        """
        entries = self._entries.get((kind, name), [])
        if len(entries) == 1:
            return entries[0]
        if entries:
            raise PluginError(self._ambiguous(entries))
        hint = did_you_mean(name, self.names(kind))
        raise PluginError(f"There is no {kind} named '{name}'. {hint}{self.left_out()}")

    def find(self, name: str) -> list[Component]:
        """Whatever is registered as `name`, of any kind.

        Raises:
            PluginError: nothing is, or a kind of it is ambiguous.
        """
        found = [self.get(kind, name) for kind in KINDS if (kind, name) in self._entries]
        if not found:
            known = {name for _, name in self._entries}
            hint = did_you_mean(name, known)
            raise PluginError(f"Nothing is registered as '{name}'. {hint}{self.left_out()}")
        return found

    def left_out(self) -> str:
        """The end of an error about what is not there: the plugins left out, for it may be theirs."""
        told = self.told_left_out()
        return f" ({told})" if told else ""

    def told_left_out(self) -> str:
        """The plugins left out, and why; "" where none is."""
        broken = [plugin.problem for plugin in self.plugins if plugin.problem]
        off = sorted({plugin.origin for plugin in self.plugins if plugin.off})
        broken += [f"{', '.join(off)} by {ONLY}"] if off else []
        return f"Left out: {'; '.join(broken)}" if broken else ""

    def _ambiguous(self, entries: list[Component]) -> str:
        owners = [
            plugin
            for entry in entries
            for plugin in self.plugins
            if any(one is entry for one in plugin.registered)
        ]
        strangers = sorted({owner.distribution for owner in owners} - {OURSELVES})
        return (
            f"The {entries[0].kind} '{entries[0].name}' is registered by "
            f"{' and by '.join(map(str, owners))}, so nobody can tell which is meant. "
            f"Uninstall {' or '.join(strangers)}, or ask its author to rename it."
        )
