"""The registry: it selects the installed plugins, loads them, and finds components by kind and name."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from zoo._version import __version__
from zoo.builtin import MODULES as BUILTIN_MODULES
from zoo.errors import PluginError, did_you_mean, one_line
from zoo.registry._contract import collect_components, registered_by
from zoo.registry._files import PluginFile, given_files, is_file_key, merge_files
from zoo.registry._installed import installed_plugins
from zoo.registry._isolation import forget_result, probe_plugins
from zoo.registry._loading import load_plugin
from zoo.registry._memory import IN_MEMORY, in_memory_component
from zoo.registry._plugin import (
    KINDS,
    OWN_DISTRIBUTION,
    Component,
    ContractError,
    Plugin,
    describe_with_location,
)
from zoo.registry._requirements import canonical_name, requirement_of, unmet_requirement

SELECTION_VARIABLE = "ZOO_PLUGINS"  # names of distributions, separated by commas; "" for none


class Registry:
    """The components of built-in modules and installed plugins.

    `Registry.load()` returns the registry of this installation. A test adds modules of its own with `add`.
    """

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._components: dict[tuple[str, str], list[Component]] = {}  # by kind and name

    @classmethod
    def load(cls, entry_points: Iterable[EntryPoint] | None = None) -> Registry:
        """Load the built-in modules, the entry points that `ZOO_PLUGINS` selects, and the given plugin files.

        An entry point with a problem is left out. An invalid `ZOO_PLUGINS` or `ZOO_PLUGIN_SECONDS`, or a
        plugin file with a problem, is a ZooError.
        """
        registry = cls._load_built_ins()
        plugins = installed_plugins(entry_points)
        names = selected_names([plugin.distribution for plugin in plugins])
        for plugin in plugins:
            plugin.is_off = plugin.distribution not in names
            plugin.problem = "" if plugin.is_off else plugin.problem or unmet_requirement(plugin)
        probe_plugins([plugin for plugin in plugins if plugin.state == "loaded"])
        for plugin in plugins:
            registry._add_installed(plugin)
        registry._add_files(given_files())
        return registry

    def with_files(self, files: Sequence[PluginFile]) -> Registry:
        """Return a registry with the components of plugin files, too; raise PluginError as `load` does."""
        registry = Registry()
        registry.plugins = [*self.plugins]
        registry._components = {key: [*same_name] for key, same_name in self._components.items()}
        merge_files(self.files, files)  # an error if two have the same name
        registry._add_files(files)
        return registry

    @property
    def files(self) -> list[PluginFile]:
        """The plugin files whose components the registry has."""
        return [plugin.file for plugin in self.plugins if plugin.file is not None]

    @classmethod
    def load_only(cls, versions: Mapping[str, str]) -> Registry:
        """Load the built-in modules and the plugins that `versions` names, without probing the plugins.

        A worker process calls this with the plugins that its parent process has probed.

        Args:
            versions: version of each plugin; the keys are `DISTRIBUTION:PLUGIN`.

        Raises:
            PluginError: a plugin was uninstalled, or is installed in another version.
        """
        registry = cls._load_built_ins()
        external = [key for key in versions if not key.startswith(f"{OWN_DISTRIBUTION}:")]
        files = {file.key: file for file in given_files()}
        plugins = [Plugin.of_file(file) for key, file in files.items() if key in external]
        plugins += installed_plugins() if any(key not in files for key in external) else []
        by_key = {f"{plugin.distribution}:{plugin.name}": plugin for plugin in plugins}
        for key in external:
            name, version = key.partition(":")[0], versions[key]
            if is_file_key(key) and (key not in by_key or by_key[key].version != version):
                raise PluginError(
                    f"the plugin file {name} with version {version} is missing; add `--plugin {name}`."
                )
            if key not in by_key or by_key[key].version != version:
                state = f"its version is {by_key[key].version}" if key in by_key else "it is not installed"
                raise PluginError(
                    f"{name} {version} was installed when the command started, but now {state}. "
                    f"Run `pip install {requirement_of(name, version)}`, or start the command again."
                )
            registry._add_installed(by_key[key])
        return registry

    @classmethod
    def _load_built_ins(cls) -> Registry:
        registry = cls()
        for name in BUILTIN_MODULES:
            plugin = Plugin(name.rpartition(".")[2], OWN_DISTRIBUTION, __version__)
            registry.add(plugin, partial(import_module, name))
        return registry

    def _add_files(self, files: Sequence[PluginFile]) -> None:
        """Probe and add plugin files that the registry lacks; raise PluginError, a line for each problem."""
        names = {file.name for file in self.files}
        plugins = [Plugin.of_file(file) for file in files if file.name not in names]
        probe_plugins(plugins)
        for plugin in plugins:
            self._add_installed(plugin)
        if problems := [plugin.problem for plugin in plugins if plugin.problem]:
            raise PluginError("\n".join(problems))

    def _add_installed(self, plugin: Plugin) -> None:
        """Add an installed plugin; load its module if the plugin is neither off nor left out."""
        if plugin.state != "loaded":
            self.plugins.append(plugin)
            return
        try:
            self.add(plugin, partial(load_plugin, plugin))
        except KeyboardInterrupt:
            forget_result(plugin)  # the user may have pressed Ctrl-C because the plugin hung
            raise

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Add a plugin and the components that it registers; store an error as `problem` of the plugin.

        `load` imports the plugin's module and returns it.
        """
        self.plugins.append(plugin)
        start = time.perf_counter()
        try:
            # The output of a plugin must not appear in the output of `zoo list --json`.
            with redirect_stdout(sys.stderr):
                components = collect_components(plugin, load())
            self._check_names(plugin, components)
            plugin.components = components
        except KeyboardInterrupt:
            raise
        except ContractError as error:
            plugin.problem = one_line(f"{plugin.title}: {error}")
        except BaseException as error:  # including SystemExit
            is_missing = isinstance(error, ImportError) and plugin.file is not None
            plugin.problem = (
                f"{plugin.title} could not be loaded: {describe_with_location(error, plugin.package)}"
                f"{'; install what it imports, or correct the import.' if is_missing else ''}"
            )
        plugin.load_s = time.perf_counter() - start
        for component in plugin.components:
            self._components.setdefault((component.kind, component.name), []).append(component)

    def _check_names(self, plugin: Plugin, components: list[Component]) -> None:
        """Raise ContractError if an installed plugin registers a name of a built-in component.

        A built-in name must mean the same component in every installation. A plugin file must not register
        a name of an installed plugin either.
        """
        for component in components:
            kind, name = component.kind, component.name
            owners = {other.distribution: other for other in self._components.get((kind, name), [])}
            if OWN_DISTRIBUTION in owners and plugin.distribution != OWN_DISTRIBUTION:
                raise ContractError(
                    f"{registered_by(component)} registered '{name}', but zoo has a built-in {kind} of this "
                    "name; rename the function."
                )
            if owners and plugin.file is not None:
                origin = next(iter(owners.values())).origin
                raise ContractError(
                    f"{registered_by(component)} registered '{name}', but {origin} has registered the {kind} "
                    f"'{name}', too; rename the function."
                )

    @property
    def problems(self) -> list[str]:
        """One line for each plugin that is left out, and for each name that is registered more than once."""
        duplicates = [
            self._describe_duplicate(same_name)
            for same_name in self._components.values()
            if len(same_name) > 1
        ]
        return [plugin.problem for plugin in self.plugins if plugin.problem] + duplicates

    def names(self, kind: str) -> list[str]:
        """Return the names of the components of a kind, in alphabetical order."""
        return sorted(name for registered_kind, name in self._components if registered_kind == kind)

    def components(self) -> list[Component]:
        """Return the components whose name is registered once, by kind, in the order of registration."""
        order = list(KINDS)
        unique = [same_name[0] for same_name in self._components.values() if len(same_name) == 1]
        return sorted(unique, key=lambda component: order.index(component.kind))

    def get(self, kind: str, name: str) -> Component:
        """Return the component of this kind and name; raise PluginError if there is none or more than one."""
        if (kind, name) == ("dataset", IN_MEMORY):
            return in_memory_component()
        same_name = self._components.get((kind, name), [])
        if len(same_name) == 1:
            return same_name[0]
        if same_name:
            raise PluginError(self._describe_duplicate(same_name))
        hint = did_you_mean(name, self.names(kind))
        raise PluginError(f"there is no {kind} named '{name}'. {hint}{self.left_out_note()}")

    def find(self, name: str) -> list[Component]:
        """Return the components with this name, at most one of each kind; raise PluginError if none."""
        components = [self.get(kind, name) for kind in KINDS if (kind, name) in self._components]
        if not components:
            hint = did_you_mean(name, {name for _, name in self._components})
            raise PluginError(f"there is no component named '{name}'. {hint}{self.left_out_note()}")
        return components

    def left_out_note(self) -> str:
        """Return the plugins that are left out, in brackets; "" if none.

        The note ends an error about a missing component, which one of these plugins may register.
        """
        text = self.describe_left_out()
        return f" ({text})" if text else ""

    def describe_left_out(self) -> str:
        """Return the plugins that are left out, with the reasons; "" if none."""
        reasons = [plugin.problem.removesuffix(".") for plugin in self.plugins if plugin.problem]
        excluded = sorted({plugin.origin for plugin in self.plugins if plugin.is_off})
        reasons += [f"{', '.join(excluded)} by {SELECTION_VARIABLE}"] if excluded else []
        return f"Left out: {'; '.join(reasons)}" if reasons else ""

    def _describe_duplicate(self, same_name: list[Component]) -> str:
        owners = [f"plugin '{component.plugin}' of {component.origin}" for component in same_name]
        distributions = sorted({component.distribution for component in same_name} - {OWN_DISTRIBUTION})
        kind, name = same_name[0].kind, same_name[0].name
        return (
            f"the {kind} '{name}' is registered more than once: by {' and by '.join(owners)}. "
            f"Uninstall {' or '.join(distributions)}, or ask an author to rename the {kind}."
        )


def selected_names(names: Collection[str]) -> set[str]:
    """Return the distributions among `names` that `ZOO_PLUGINS` selects; all if the variable is not set.

    Raise PluginError if `ZOO_PLUGINS` selects a distribution that is not among `names`.
    """
    selection = os.environ.get(SELECTION_VARIABLE)
    if selection is None:
        return set(names)
    by_canonical_name = {canonical_name(name): name for name in names}
    selected = [name.strip() for name in selection.split(",") if name.strip()]
    for name in selected:
        if canonical_name(name) not in by_canonical_name:
            hint = did_you_mean(name, names)
            raise PluginError(
                f"{SELECTION_VARIABLE}: no installed distribution with plugins is named '{name}'. {hint}"
            )
    return {by_canonical_name[canonical_name(name)] for name in selected}
