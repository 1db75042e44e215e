"""Calls a plugin's hooks, and reports each way in which they break the contract."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from types import ModuleType
from typing import Any

import pluggy

from zoo import hookspecs
from zoo.errors import SpaceError, ZooError, did_you_mean, one_line
from zoo.registry._plugin import (
    HOOKS,
    KINDS,
    OWN_DISTRIBUTION,
    Component,
    ContractError,
    Plugin,
    describe_error,
    top_level,
)
from zoo.space import Space, read_space

# A study names its component by the key `name`, so no parameter can have this name.
RESERVED = "name"


def registrations(plugin: Plugin, module: Any) -> list[Component]:
    """Return what `module` registers through the three hooks, or raise ContractError."""
    if inspect.isroutine(module) or inspect.isclass(module):
        raise ContractError(
            f"its entry point names '{module.__qualname__}'; it must name the module, '{module.__module__}'."
        )
    _check_hooks(module)
    manager = pluggy.PluginManager("zoo")  # a fresh one, so that plugins do not meet
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=plugin.name)
    components: list[Component] = []
    file = str(getattr(module, "__file__", None) or "") if plugin.distribution != OWN_DISTRIBUTION else ""
    for kind, hook in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            plugin.hooks.append(hook)
            before = len(components)
            register = partial(_register, plugin, kind, file, components)
            returned = _call(implementation.function, hook, register, plugin.package)
            if returned is not None and len(components) == before:
                raise ContractError(
                    f"{hook} returned {type(returned).__name__} and registered nothing; "
                    "call register(function) for each function instead."
                )
    if not components:
        raise ContractError(f"it registers nothing. {_missing_hook(module, plugin.hooks)}")
    return components


def component_space(kind: str, function: Any) -> Space:
    """Check a function before it is registered, and return its search space.

    Raises:
        ContractError: its name or the name of a parameter is not allowed, or its signature cannot be read.
    """
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or name == "<lambda>":
        described = f"the class {name}" if inspect.isclass(function) else one_line(repr(function))
        described = "a lambda" if name == "<lambda>" else described
        raise ContractError(f"expected a named function, whose name is the registered name, got {described}.")
    if not (name.isidentifier() and name.isascii()):
        raise ContractError(
            "expected a name of letters without accents, digits and _, with no digit first, "
            f"got '{name}'; rename the function."
        )
    try:
        space = read_space(function, positional=KINDS[kind])
    except SpaceError as error:
        raise ContractError(str(error)) from None
    if RESERVED in space:
        raise ContractError(
            f"{name}: parameter '{RESERVED}': the name is reserved, because in a study it names the {kind}; "
            "rename the parameter."
        )
    return space


def _check_hooks(module: Any) -> None:
    """Raise ContractError for a hook that pluggy would ignore, or refuse with a message of its own."""
    for name in dir(module):
        function = getattr(module, name, None)
        options = getattr(function, "zoo_impl", None)  # set by @hookimpl
        if not inspect.isroutine(function) or not (options or name.startswith("register_")):
            continue
        hook = (options or {}).get("specname") or name
        if hook in HOOKS.values() and not options and _is_defined_in(module, function):
            raise ContractError(f"{hook} has no decorator; write @zoo.hookimpl above it.")
        if hook not in HOOKS.values() and (options or _is_misspelt_hook(module, name, function)):
            raise ContractError(f"there is no hook named '{hook}'. {did_you_mean(hook, HOOKS.values())}")
        if options and not _takes_register(function):
            signature = inspect.signature(function)
            raise ContractError(f"expected the hook {hook}(register), got {hook}{signature}.")


def _takes_register(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    required = [(one.name, one.kind) for one in parameters if one.default is one.empty]
    return required == [("register", inspect.Parameter.POSITIONAL_OR_KEYWORD)]


def _is_misspelt_hook(module: Any, name: str, function: Callable[..., Any]) -> bool:
    """Return whether the name is one or two letters from a hook's, and the parameters are the hook's."""
    return (
        bool(get_close_matches(name, HOOKS.values(), n=1, cutoff=0.94))
        and _is_defined_in(module, function)
        and list(inspect.signature(function).parameters) == ["register"]
    )


def _is_defined_in(module: Any, function: Any) -> bool:
    """Return whether the plugin's package defines `function`, rather than importing it from elsewhere."""
    if not isinstance(module, ModuleType):
        return True
    return top_level(module.__name__) == top_level(str(getattr(function, "__module__", None)))


def _call(function: Callable[..., Any], hook: str, register: Callable[[Any], Any], package: str) -> Any:
    try:
        return function(register)
    except (KeyboardInterrupt, ContractError):
        raise
    except BaseException as error:
        prefix = f"{hook}:" if isinstance(error, ZooError) else f"{hook} raised"
        raise ContractError(f"{prefix} {describe_error(error, package)}") from error


def _register(plugin: Plugin, kind: str, file: str, components: list[Component], function: Any) -> Any:
    """Add a component; the `register` that a hook is called with."""
    try:
        space = component_space(kind, function)
    except ContractError as error:
        raise ContractError(f"{HOOKS[kind]}: {error}") from None
    name = function.__name__
    if any(one.kind == kind and one.name == name for one in components):
        raise ContractError(f"{HOOKS[kind]} registered '{name}' twice.")
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    origin = (plugin.distribution, plugin.version, plugin.name, file)
    components.append(Component(kind, name, function, space, description, *origin))
    return function  # so that `@register` works as a decorator inside the hook


def _missing_hook(module: Any, hooks: list[str]) -> str:
    """Return advice for an author who registered nothing."""
    if hooks:
        return f"Call register(function) in {' or '.join(hooks)} for each function to register."
    for name in dir(module):
        if name.startswith("register_") and name not in HOOKS.values():
            return f"There is no hook named '{name}'. {did_you_mean(name, HOOKS.values())}"
    return f"Implement one of {', '.join(HOOKS.values())} with @zoo.hookimpl; call register(function) in it."
