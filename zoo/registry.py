"""What the installed plugins registered: by kind and name, with the distribution it came from.

A registry is an object made afresh; there is no global plugin manager. Entry points are loaded one
by one, each in isolation: a plugin that breaks the contract is left out and named among `problems`,
and whoever needs what it would have registered is told why it is not there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

import pluggy

from zoo import hookspecs
from zoo._version import __version__
from zoo.builtin import MODULES as BUILTIN_MODULES
from zoo.errors import PluginError, SpaceError, did_you_mean
from zoo.space import Space, read_space

GROUP = "zoo"
OURSELVES = "keras-zoo"

# kind -> the positional parameters its functions take before the keyword-only ones
KINDS: Mapping[str, tuple[str, ...]] = {
    "dataset": (),
    "architecture": ("input_shape", "num_classes"),
    "augmentation": (),
}


@dataclass(frozen=True)
class Registered:
    """One dataset, architecture or augmentation policy, and where it came from."""

    kind: str
    name: str
    function: Callable[..., Any]
    space: Space
    description: str
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass
class Plugin:
    """One installed plugin: a built-in module or an entry point."""

    name: str
    distribution: str
    version: str
    registered: list[Registered] = field(default_factory=list)
    problem: str = ""

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"


class Registry:
    """Everything registered; made by `Registry.load()`, or in a test from modules of one's own."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._entries: dict[tuple[str, str], list[Registered]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
        """The built-ins and every installed entry point of group `zoo`; never raises for a plugin."""
        registry = cls()
        for name in BUILTIN_MODULES:
            plugin = Plugin(name.rpartition(".")[2], OURSELVES, __version__)
            registry.add(plugin, lambda name=name: import_module(name))
        found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        for entry_point in sorted(found, key=lambda point: (_distribution(point), point.name)):
            plugin = Plugin(entry_point.name, *_distribution(entry_point))
            registry.add(plugin, entry_point.load)
        return registry

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Load one plugin and take what it registers; a breach of contract becomes its `problem`."""
        self.plugins.append(plugin)
        try:
            plugin.registered = _registrations(plugin, load())
        except PluginError as error:
            plugin.problem = str(error)
        except (Exception, SystemExit) as error:
            plugin.problem = f"{_told(plugin)} could not be loaded: {_one_line(error)}"
        for entry in plugin.registered:
            self._entries.setdefault((entry.kind, entry.name), []).append(entry)

    @property
    def problems(self) -> list[str]:
        """One line for everything that is wrong with what is installed."""
        twice = [_ambiguous(entries) for entries in self._entries.values() if len(entries) > 1]
        return [plugin.problem for plugin in self.plugins if plugin.problem] + twice

    def names(self, kind: str) -> list[str]:
        return sorted(name for of_kind, name in self._entries if of_kind == kind)

    def entries(self) -> list[Registered]:
        """Everything that can be used, by kind and name."""
        order = list(KINDS)
        usable = [entries[0] for entries in self._entries.values() if len(entries) == 1]
        return sorted(usable, key=lambda entry: (order.index(entry.kind), entry.name))

    def get(self, kind: str, name: str) -> Registered:
        """The `kind` registered as `name`.

        Raises:
            PluginError: there is none (with the likely spelling, and the plugins that failed), or
                two plugins registered that name.
        """
        entries = self._entries.get((kind, name), [])
        if len(entries) == 1:
            return entries[0]
        if entries:
            raise PluginError(_ambiguous(entries))
        text = f"There is no {kind} named '{name}'. {did_you_mean(name, self.names(kind))}"
        broken = [plugin.problem for plugin in self.plugins if plugin.problem]
        raise PluginError(f"{text} (Left out: {'; '.join(broken)})" if broken else text)

    def find(self, name: str) -> list[Registered]:
        """Whatever is registered as `name`, of any kind.

        Raises:
            PluginError: nothing is, or a kind of it is ambiguous.
        """
        found = [self.get(kind, name) for kind in KINDS if (kind, name) in self._entries]
        if not found:
            known = {entry.name for entry in self.entries()}
            raise PluginError(f"Nothing is registered as '{name}'. {did_you_mean(name, known)}")
        return found


def _registrations(plugin: Plugin, module: Any) -> list[Registered]:
    """What `module` registers through the three hooks; a fresh plugin manager checks the hooks."""
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=plugin.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{_told(plugin)}: {_hook_problem(error)}") from None
    _check_marked(plugin, module)
    entries: list[Registered] = []
    for kind in KINDS:
        hook = f"register_{kind}s"
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            before = len(entries)
            returned = _call_hook(
                plugin, hook, implementation, lambda f, kind=kind: _register(plugin, kind, f, entries)
            )
            if returned is not None and len(entries) == before:
                raise PluginError(
                    f"{_told(plugin)}: {hook} returned {type(returned).__name__} and registered nothing; "
                    "call register(function) for each instead."
                )
    if not entries:
        raise PluginError(
            f"{_told(plugin)} registers nothing; implement one of {_hook_names()} with @zoo.hookimpl."
        )
    return entries


def _call_hook(plugin: Plugin, hook: str, implementation: Any, register: Callable[[Any], Any]) -> Any:
    try:
        arguments = {"register": register}
        return implementation.function(*[arguments[name] for name in implementation.argnames])
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{_told(plugin)}: {hook} raised {_one_line(error)}") from error


def _register(plugin: Plugin, kind: str, function: Any, entries: list[Registered]) -> Any:
    hook = f"register_{kind}s"
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or not name.isidentifier():
        raise PluginError(
            f"{_told(plugin)}: {hook} registered {function!r}, but a named function is expected "
            "(its name becomes the registered name)."
        )
    if any(entry.kind == kind and entry.name == name for entry in entries):
        raise PluginError(f"{_told(plugin)}: {hook} registered '{name}' twice.")
    try:
        space = read_space(function, positional=KINDS[kind])
    except SpaceError as error:
        raise PluginError(f"{_told(plugin)}: {hook}: {error}") from None
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    entries.append(Registered(kind, name, function, space, description, plugin.distribution, plugin.version))
    return function  # so that `@register` above a function in the hook works too


def _check_marked(plugin: Plugin, module: Any) -> None:
    """A hook without @hookimpl would be ignored by pluggy without a word."""
    for hook in (f"register_{kind}s" for kind in KINDS):
        function = getattr(module, hook, None)
        ours = not isinstance(module, ModuleType) or getattr(function, "__module__", None) == module.__name__
        if callable(function) and ours and not hasattr(function, "zoo_impl"):
            raise PluginError(f"{_told(plugin)}: {hook} lacks @zoo.hookimpl above it.")


def _hook_problem(error: pluggy.PluginValidationError) -> str:
    text = _one_line(error)
    known = [f"register_{kind}s" for kind in KINDS]
    if text.startswith("unknown hook"):
        hook = text.split("'")[1]
        return f"there is no hook named '{hook}'. {did_you_mean(hook, known)}"
    return text


def _ambiguous(entries: list[Registered]) -> str:
    first = entries[0]
    origins = " and ".join(entry.origin for entry in entries)
    return (
        f"The {first.kind} '{first.name}' is registered by {origins}; nobody can tell which is meant. "
        f"Uninstall one, or ask its author to rename it."
    )


def _distribution(entry_point: metadata.EntryPoint) -> tuple[str, str]:
    if entry_point.dist is None:
        return entry_point.value, "unknown version"
    return entry_point.dist.name, entry_point.dist.version


def _told(plugin: Plugin) -> str:
    return f"Plugin '{plugin.name}' of {plugin.origin}"


def _hook_names() -> str:
    return ", ".join(f"register_{kind}s" for kind in KINDS)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, pluggy.PluginValidationError) else f"{type(error).__name__}: {text}"
