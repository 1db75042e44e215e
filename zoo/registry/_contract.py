"""The hook calls of a plugin, and the checks of the functions that the hooks register."""

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
from zoo.hookspecs import marked_direction, marked_kinds
from zoo.registry._plugin import (
    DIRECTIONS,
    HOOKS,
    KINDS,
    OWN_DISTRIBUTION,
    RESERVED_METRICS,
    Component,
    ContractError,
    Plugin,
    describe_with_location,
    top_level_package,
)
from zoo.space import Space, read_space

# In a study file, the key `name` of a component's table is the component's name.
RESERVED_PARAMETER = "name"


def collect_components(plugin: Plugin, module: Any) -> list[Component]:
    """Return the components that the hooks of `module` register; raise ContractError for any mistake."""
    if inspect.isroutine(module) or inspect.isclass(module):
        raise ContractError(
            f"expected an entry point that names the module '{module.__module__}', "
            f"got '{module.__qualname__}'."
        )
    _check_hooks(module)
    manager = pluggy.PluginManager("zoo")  # a new one, so that plugins cannot affect each other
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=plugin.name)
    components: list[Component] = []
    file = str(getattr(module, "__file__", None) or "") if plugin.distribution != OWN_DISTRIBUTION else ""
    for kind, hook in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            plugin.hooks.append(hook)
            num_before = len(components)
            register = partial(_register, plugin, kind, hook, file, components)
            result = _call_hook(implementation.function, hook, register, plugin.package)
            if result is not None and len(components) == num_before:
                raise ContractError(
                    f"expected {hook} to register functions, but it returned {type(result).__name__}; "
                    "call register(function) for each function."
                )
    for function in _marked_functions(module):
        for kind in marked_kinds(function):
            if not any(one.kind == kind and one.function is function for one in components):
                direction = marked_direction(function) if kind == "metric" else None
                _register(plugin, kind, f"@zoo.{kind}", file, components, function, direction)
    if not components:
        what = "the plugin" if plugin.file is None else "it"
        raise ContractError(
            f"expected at least one component, but {what} registers none. {_hint(plugin, module)}"
        )
    return components


def registered_by(component: Component) -> str:
    """Return what registered a component: `register_datasets`, or `@zoo.dataset` for a marked function."""
    is_marked = component.kind in marked_kinds(component.function)
    return f"@zoo.{component.kind}" if is_marked else HOOKS[component.kind]


def component_space(kind: str, function: Any) -> Space:
    """Return the search space of a registered function; raise ContractError for its name or signature."""
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or name == "<lambda>":
        description = f"the class {name}" if inspect.isclass(function) else one_line(repr(function))
        description = "a lambda" if name == "<lambda>" else description
        raise ContractError(f"expected a function that is defined with def, got {description}.")
    if not (name.isidentifier() and name.isascii()):
        raise ContractError(
            "expected a name of ASCII letters, digits and _ that does not begin with a digit, "
            f"got '{name}'; rename the function."
        )
    try:
        space = read_space(function, positional=KINDS[kind])
    except SpaceError as error:
        raise ContractError(str(error)) from None
    if kind == "metric":
        _check_metric(name, space)
    if RESERVED_PARAMETER in space:
        raise ContractError(
            f"{name}: parameter '{RESERVED_PARAMETER}': this name is reserved, because the key "
            f"`{RESERVED_PARAMETER}` of a study selects the {kind}; rename the parameter."
        )
    return space


def _check_metric(name: str, space: Space) -> None:
    """Raise ContractError if a metric has parameters, or the name of a metric that Keras measures."""
    if name in RESERVED_METRICS:
        raise ContractError(
            f"a metric cannot be named '{name}', because zoo measures val_{name} in every study; "
            "rename the function."
        )
    if space:
        raise ContractError(
            f"{name}: expected no parameters of a study, got '{next(iter(space))}'; write the value into the "
            "function."
        )


def _marked_functions(module: Any) -> list[Any]:
    """Return the marked functions that a module defines, in the order of their definition, each once."""
    values = vars(module).values() if isinstance(module, ModuleType) else ()
    marked = {id(value): value for value in values if marked_kinds(value) and _is_defined_in(module, value)}
    return list(marked.values())


def _check_hooks(module: Any) -> None:
    """Raise ContractError if a hook is misspelt, has no decorator, or does not take `register`.

    pluggy ignores the first two mistakes. It ignores the third, or reports it in its own words.
    """
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
    """Return whether `register` is the only parameter without a default."""
    parameters = inspect.signature(function).parameters.values()
    required = [
        (parameter.name, parameter.kind) for parameter in parameters if parameter.default is parameter.empty
    ]
    return required == [("register", inspect.Parameter.POSITIONAL_OR_KEYWORD)]


def _is_misspelt_hook(module: Any, name: str, function: Callable[..., Any]) -> bool:
    """Return whether `function` looks like a hook in whose name one or two letters are wrong."""
    return (
        bool(get_close_matches(name, HOOKS.values(), n=1, cutoff=0.94))
        and _is_defined_in(module, function)
        and list(inspect.signature(function).parameters) == ["register"]
    )


def _is_defined_in(module: Any, function: Any) -> bool:
    """Return whether `function` is defined in the plugin's package, not imported from another package."""
    if not isinstance(module, ModuleType):
        return True
    return top_level_package(module.__name__) == top_level_package(str(getattr(function, "__module__", None)))


def _call_hook(function: Callable[..., Any], hook: str, register: Callable[[Any], Any], package: str) -> Any:
    """Return the result of a hook; turn any exception of the hook into a ContractError."""
    try:
        return function(register)
    except (KeyboardInterrupt, ContractError):
        raise
    except BaseException as error:
        prefix = f"{hook}:" if isinstance(error, ZooError) else f"{hook} raised"
        raise ContractError(f"{prefix} {describe_with_location(error, package)}") from error


def _register(
    plugin: Plugin,
    kind: str,
    source: str,
    file: str,
    components: list[Component],
    function: Any,
    direction: str | None = None,
) -> Any:
    """Add the component of `function` to `components`, and return `function`.

    A hook gets this function, with the arguments before `function` bound, as its argument `register`.
    `source` is the hook or the mark, for messages.
    """
    try:
        space = component_space(kind, function)
    except ContractError as error:
        raise ContractError(f"{source}: {error}") from None
    name = function.__name__
    if any(component.kind == kind and component.name == name for component in components):
        raise ContractError(f"{source} registered '{name}' twice; rename or remove one of the functions.")
    if direction is not None and kind != "metric":
        raise ContractError(f"{source}: a direction is only for metrics; remove direction={direction!r}.")
    if direction not in (None, *DIRECTIONS):
        expected = " or ".join(map(repr, DIRECTIONS))
        raise ContractError(f"{source}: {name}: expected direction={expected}, got {direction!r}.")
    if kind == "metric":
        direction = direction or "maximize"
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    digest = plugin.file.digest if plugin.file is not None else ""
    origin = (plugin.distribution, plugin.version, plugin.name, file)
    components.append(Component(kind, name, function, space, description, *origin, direction or "", digest))
    return function  # `@register` is used as a decorator inside a hook


def _hint(plugin: Plugin, module: Any) -> str:
    """Return the last sentence of the error about a plugin that registers nothing: what to do next."""
    if plugin.hooks:
        return f"Call register(function) in {' or '.join(plugin.hooks)} for each function to register."
    for name in dir(module):
        if name.startswith("register_") and name not in HOOKS.values():
            return f"There is no hook named '{name}'. {did_you_mean(name, HOOKS.values())}"
    if plugin.file is not None:
        *others, last = (f"@zoo.{kind}" for kind in KINDS)
        return f"Write {', '.join(others)} or {last} above each function that zoo should register."
    return f"Implement one of {', '.join(HOOKS.values())} with @zoo.hookimpl; call register(function) in it."
