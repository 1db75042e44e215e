"""The hooks: what a module registers through them, and every way to get it wrong."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from types import ModuleType
from typing import Any

import pluggy

from zoo import hookspecs
from zoo.errors import SpaceError, ZooError, did_you_mean, one_line
from zoo.registry._place import raised_at
from zoo.registry._plugin import HOOKS, KINDS, OURSELVES, Breach, Component, Plugin
from zoo.space import read_space

# A study's `name = …` says which one is meant, so no parameter can be called that.
RESERVED = "name"


def registrations(plugin: Plugin, module: Any) -> list[Component]:
    """What `module` registers through the three hooks; a fresh plugin manager checks the hooks.

    Raises:
        Breach: it does something the contract forbids.
    """
    if inspect.isroutine(module) or inspect.isclass(module):
        raise Breach(
            f"its entry point names '{module.__qualname__}'; let it name the module, '{module.__module__}'."
        )
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=plugin.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise Breach(_hook_problem(one_line(error))) from None
    _check_marked(module)
    entries: list[Component] = []
    file = str(getattr(module, "__file__", None) or "") if plugin.distribution != OURSELVES else ""
    for kind, hook in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            plugin.hooks.append(hook)
            before = len(entries)
            register = partial(_register, plugin, kind, file, entries)
            returned = _call(implementation, hook, register, plugin.package)
            if returned is not None and len(entries) == before:
                raise Breach(
                    f"{hook} returned {type(returned).__name__} and registered nothing; "
                    "call register(function) for each instead."
                )
    if not entries:
        raise Breach(f"it registers nothing. {_missing_hook(module, plugin.hooks)}")
    return entries


def _call(implementation: Any, hook: str, register: Callable[[Any], Any], package: str) -> Any:
    if implementation.argnames != ("register",):
        signature = inspect.signature(implementation.function)
        raise Breach(f"expected the hook {hook}(register), but it is {hook}{signature}.")
    try:
        return implementation.function(register)
    except (KeyboardInterrupt, Breach):
        raise
    except BaseException as error:
        told = f"{hook}:" if isinstance(error, ZooError) else f"{hook} raised"
        raise Breach(f"{told} {raised_at(error, package)}") from error


def is_name(name: str) -> bool:
    """Whether it can be a registered name: letters without accents, digits and `_`, as in a study."""
    return name.isidentifier() and name.isascii()


def _register(plugin: Plugin, kind: str, file: str, entries: list[Component], function: Any) -> Any:
    hook = HOOKS[kind]
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or name == "<lambda>":
        raise Breach(
            f"{hook} registered {_described(function)}, but a named function is expected "
            "(its name becomes the registered name)."
        )
    if not is_name(name):
        raise Breach(
            f"{hook} registered a function named '{name}', but a name is made of letters without accents, "
            "digits and _, and does not begin with a digit; rename it."
        )
    if any(entry.kind == kind and entry.name == name for entry in entries):
        raise Breach(f"{hook} registered '{name}' twice.")
    try:
        space = read_space(function, positional=KINDS[kind])
    except SpaceError as error:
        raise Breach(f"{hook}: {error}") from None
    if RESERVED in space:
        raise Breach(
            f"{hook}: {name}: a parameter cannot be called '{RESERVED}', which in a study names the "
            f"{kind}; rename it."
        )
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    origin = (plugin.distribution, plugin.version, plugin.name, file)
    entries.append(Component(kind, name, function, space, description, *origin))
    return function  # so that `@register` above a function in the hook works too


def _check_marked(module: Any) -> None:
    """A hook without @hookimpl would be ignored by pluggy without a word, however it is spelt."""
    for hook in HOOKS.values():
        function = getattr(module, hook, None)
        if callable(function) and _is_of(module, function) and not hasattr(function, "zoo_impl"):
            raise Breach(f"{hook} lacks @zoo.hookimpl above it.")
    for name in dir(module):
        if name.startswith("register_") and name not in HOOKS.values() and _is_hook(module, name):
            raise Breach(f"there is no hook named '{name}'. {did_you_mean(name, HOOKS.values())}")


def _is_hook(module: Any, name: str) -> bool:
    """Whether this is meant as a hook: a letter or two from one, and it takes what that takes."""
    function = getattr(module, name, None)
    return (
        bool(get_close_matches(name, HOOKS.values(), n=1, cutoff=0.94))
        and inspect.isroutine(function)
        and _is_of(module, function)
        and list(inspect.signature(function).parameters) == ["register"]
    )


def _is_of(module: Any, function: Any) -> bool:
    """Whether a plugin's own package defines `function`, or has it from somewhere else."""
    if not isinstance(module, ModuleType):
        return True
    packages = {
        str(one).partition(".")[0] for one in (module.__name__, getattr(function, "__module__", None))
    }
    return len(packages) == 1


def _missing_hook(module: Any, hooks: list[str]) -> str:
    """What an author who registered nothing probably meant to write."""
    if hooks:
        return f"Call register(function) in {' or '.join(hooks)} for each that you offer."
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


def _described(thing: Any) -> str:
    if inspect.isclass(thing):
        return f"the class {thing.__name__}"
    if getattr(thing, "__name__", "") == "<lambda>":
        return "a lambda"
    return one_line(repr(thing))
