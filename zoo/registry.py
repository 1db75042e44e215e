"""What the installed plugins registered: by kind and name, with the distribution it came from.

A registry is an object made afresh; there is no global plugin manager. Entry points are loaded one
by one, each in isolation: a plugin that breaks the contract is left out and named among `problems`,
and whoever needs what it would have registered is told why it is not there.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

import pluggy

from zoo import hookspecs
from zoo._version import __version__
from zoo.builtin import MODULES as BUILTIN_MODULES
from zoo.errors import PluginError, SpaceError, did_you_mean, one_line
from zoo.space import Space, read_space

GROUP = "zoo"
OURSELVES = "keras-zoo"
UNKNOWN_VERSION = "of unknown version"

# kind -> the positional parameters its functions take before the keyword-only ones
KINDS: Mapping[str, tuple[str, ...]] = {
    "dataset": (),
    "architecture": ("input_shape", "num_classes"),
    "augmentation": (),
}
HOOKS: Mapping[str, str] = {kind: f"register_{kind}s" for kind in KINDS}
# A study's `name = …` says which one is meant, so no parameter can be called that.
RESERVED = "name"


class _Breach(PluginError):
    """What a plugin did that the contract forbids; `Registry.add` says whose plugin it is."""


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
    problem: str = ""  # one line that names plugin, distribution and version

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"plugin '{self.name}' of {self.origin}"


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
            registry.add(plugin, partial(import_module, name))
        found = registry._installed() if entry_points is None else entry_points
        for entry_point in sorted(found, key=lambda point: (*_distribution(point), point.name)):
            plugin = Plugin(entry_point.name, *_distribution(entry_point))
            registry.add(plugin, entry_point.load)
        return registry

    def add(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Load one plugin and take what it registers; a breach of contract becomes its `problem`."""
        self.plugins.append(plugin)
        try:
            # What a plugin prints must not get into the output of `zoo list --json`.
            with contextlib.redirect_stdout(sys.stderr):
                plugin.registered = _registrations(plugin, load())
        except KeyboardInterrupt:
            raise
        except _Breach as error:
            plugin.problem = one_line(f"{_told(plugin)}: {error}")
        except BaseException as error:  # whatever an import can raise, SystemExit among it
            plugin.problem = f"{_told(plugin)} could not be loaded: {_raised(error)}"
        for entry in plugin.registered:
            self._entries.setdefault((entry.kind, entry.name), []).append(entry)

    @property
    def problems(self) -> list[str]:
        """One line for everything that is wrong with what is installed."""
        twice = [self._ambiguous(entries) for entries in self._entries.values() if len(entries) > 1]
        return [plugin.problem for plugin in self.plugins if plugin.problem] + twice

    def names(self, kind: str) -> list[str]:
        return sorted(name for of_kind, name in self._entries if of_kind == kind)

    def entries(self) -> list[Registered]:
        """Everything that can be used, by kind, in the order in which it was registered."""
        order = list(KINDS)
        usable = [entries[0] for entries in self._entries.values() if len(entries) == 1]
        return sorted(usable, key=lambda entry: order.index(entry.kind))

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
            raise PluginError(self._ambiguous(entries))
        hint = did_you_mean(name, self.names(kind))
        raise PluginError(f"There is no {kind} named '{name}'. {hint}{self.left_out()}")

    def find(self, name: str) -> list[Registered]:
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
        """The end of an error about what is not there: the plugins that failed, for it may be theirs."""
        broken = [plugin.problem for plugin in self.plugins if plugin.problem]
        return f" (Left out: {'; '.join(broken)})" if broken else ""

    def _ambiguous(self, entries: list[Registered]) -> str:
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

    def _installed(self) -> Iterable[metadata.EntryPoint]:
        """The entry points of group `zoo`, whatever state other distributions' metadata is in."""
        try:
            return metadata.entry_points(group=GROUP)
        except Exception:  # one unreadable entry_points.txt is enough
            return self._installed_one_by_one()

    def _installed_one_by_one(self) -> Iterable[metadata.EntryPoint]:
        found: dict[str, list[metadata.EntryPoint]] = {}
        for distribution in metadata.distributions():
            name = distribution.metadata["Name"] or "a distribution without a name"
            if name in found:  # hidden by one that comes earlier on sys.path
                continue
            found[name] = []
            try:
                found[name] += [point for point in distribution.entry_points if point.group == GROUP]
            except Exception as error:
                plugin = Plugin("entry_points.txt", name, distribution.version or UNKNOWN_VERSION)
                plugin.problem = f"{_told(plugin)} cannot be read: {_raised(error)}"
                self.plugins.append(plugin)
        return [point for points in found.values() for point in points]


def _registrations(plugin: Plugin, module: Any) -> list[Registered]:
    """What `module` registers through the three hooks; a fresh plugin manager checks the hooks."""
    if inspect.isroutine(module) or inspect.isclass(module):
        raise _Breach(
            f"its entry point names '{module.__qualname__}'; let it name the module, '{module.__module__}'."
        )
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=plugin.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _Breach(_hook_problem(one_line(error))) from None
    _check_marked(module)
    entries: list[Registered] = []
    for kind, hook in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            before = len(entries)
            returned = _call(implementation, hook, partial(_register, plugin, kind, entries))
            if returned is not None and len(entries) == before:
                raise _Breach(
                    f"{hook} returned {type(returned).__name__} and registered nothing; "
                    "call register(function) for each instead."
                )
    if not entries:
        raise _Breach(f"it registers nothing. {_missing_hook(module)}")
    return entries


def _call(implementation: Any, hook: str, register: Callable[[Any], Any]) -> Any:
    try:
        arguments = {"register": register}
        return implementation.function(*[arguments[name] for name in implementation.argnames])
    except (KeyboardInterrupt, _Breach):
        raise
    except BaseException as error:
        raise _Breach(f"{hook} raised {_raised(error)}") from error


def _register(plugin: Plugin, kind: str, entries: list[Registered], function: Any) -> Any:
    hook = HOOKS[kind]
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or not name.isidentifier():
        raise _Breach(
            f"{hook} registered {_described(function)}, but a named function is expected "
            "(its name becomes the registered name)."
        )
    if any(entry.kind == kind and entry.name == name for entry in entries):
        raise _Breach(f"{hook} registered '{name}' twice.")
    try:
        space = read_space(function, positional=KINDS[kind])
    except SpaceError as error:
        raise _Breach(f"{hook}: {error}") from None
    if RESERVED in space:
        raise _Breach(
            f"{hook}: {name}: a parameter cannot be called '{RESERVED}', which in a study names the "
            f"{kind}; rename it."
        )
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    entries.append(Registered(kind, name, function, space, description, plugin.distribution, plugin.version))
    return function  # so that `@register` above a function in the hook works too


def _check_marked(module: Any) -> None:
    """A hook without @hookimpl would be ignored by pluggy without a word."""
    for hook in HOOKS.values():
        function = getattr(module, hook, None)
        if callable(function) and _is_of(module, function) and not hasattr(function, "zoo_impl"):
            raise _Breach(f"{hook} lacks @zoo.hookimpl above it.")


def _is_of(module: Any, function: Any) -> bool:
    """Whether a plugin's own package defines `function`, or has it from somewhere else."""
    if not isinstance(module, ModuleType):
        return True
    packages = {
        str(one).partition(".")[0] for one in (module.__name__, getattr(function, "__module__", None))
    }
    return len(packages) == 1


def _missing_hook(module: Any) -> str:
    """What an author who registered nothing probably meant to write."""
    for name in dir(module):
        if name.startswith("register_") and name not in HOOKS.values():
            return f"There is no hook named '{name}'. {did_you_mean(name, HOOKS.values())}"
    return (
        f"Implement one of {', '.join(HOOKS.values())} with @zoo.hookimpl, and call register(function) in it."
    )


def _hook_problem(text: str) -> str:
    """pluggy's complaint about a hook in the words of this contract."""
    if unknown := re.match(r"unknown hook '(.*?)'", text):
        return f"there is no hook named '{unknown[1]}'. {did_you_mean(unknown[1], HOOKS.values())}"
    if wrong := re.search(r"hookimpl definition: ((\w+)\(.*?\)) Argument", text):
        return f"expected the hook {wrong[2]}(register), but it is {wrong[1]}."
    return text


def _distribution(entry_point: metadata.EntryPoint) -> tuple[str, str]:
    """Name and version; damaged metadata has neither."""
    name = version = None
    with contextlib.suppress(Exception):
        if entry_point.dist is not None:
            name, version = entry_point.dist.name, entry_point.dist.version
    return name or entry_point.value, version or UNKNOWN_VERSION


def _told(plugin: Plugin) -> str:
    text = str(plugin)
    return text[0].upper() + text[1:]


def _described(thing: Any) -> str:
    if inspect.isclass(thing):
        return f"the class {thing.__name__}"
    return "a lambda" if getattr(thing, "__name__", "") == "<lambda>" else repr(thing)


def _raised(error: BaseException) -> str:
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
