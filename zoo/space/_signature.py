"""Search spaces from the signatures of functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.errors import SpaceError, count_text, did_you_mean
from zoo.space._domains import Choice, Float, Int
from zoo.space._lists import List
from zoo.space._plain import plain_domain
from zoo.space._space import REQUIRED, Domain, Parameter, Setting, Space
from zoo.space._values import conditions, error_prefix, show
from zoo.space._variant import variant_defaults

_DOMAINS = (Int, Float, Choice, List, Setting)


def read_space(function: Callable[..., Any], *, positional: Sequence[str] = ()) -> Space:
    """Return the search space of `function`: its keyword-only parameters, which follow `positional`.

    The annotation of each is a domain, `Annotated[float, Float(0.0, 0.6)] = 0.25`, or a plain type,
    `path: str`. A study never searches a parameter of a plain type. Other annotations are not
    evaluated, so that a return type in quotes imports nothing.

    Raises SpaceError if the signature has another form, or if a default is outside its own range.
    """
    name = getattr(function, "__name__", repr(function))
    keywords = _keywords(name, function, positional)
    module_names = getattr(inspect.unwrap(function), "__globals__", {})
    changed_defaults = variant_defaults(function) or {}
    parameters: list[Parameter] = []
    for keyword in keywords:
        with error_prefix(f"{name}: parameter '{keyword.name}'"):
            annotation = _evaluate(keyword.annotation, module_names)
            earlier = {one.name: one for one in parameters}
            later = [one.name for one in keywords[len(parameters) + 1 :]]
            parameter = _read_parameter(keyword, annotation, earlier, later)
            parameters.append(
                replace(parameter, searched=False) if keyword.name in changed_defaults else parameter
            )
            if Space(parameters).has_length_conflict(keyword.name):
                raise SpaceError(
                    "the variant changes its default, but not the default of "
                    f"'{parameter.same_length_as}', which sets its length; change both."
                )
    return Space(parameters)


def _keywords(name: str, function: Callable[..., Any], positional: Sequence[str]) -> list[inspect.Parameter]:
    """Return the keyword-only parameters; raise SpaceError unless exactly `positional` precede them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise SpaceError(f"{name}: expected a function with a signature, but {error}.") from None
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SpaceError(f"{name} takes '{parameter}'; expected one named parameter for each value.")
    keywords = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    leading = [parameter.name for parameter in parameters if parameter not in keywords]
    if leading != list(positional):
        expected = ", ".join([*positional, "*", "…"])
        raise SpaceError(
            f"{name}: expected the signature {name}({expected}), "
            f"but its positional parameters are ({', '.join(leading)})."
        )
    return keywords


def _evaluate(annotation: Any, module_names: dict[str, Any]) -> Any:
    """Return `annotation` as an object. It is a string under `from __future__ import annotations`."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, module_names)
    except SpaceError:
        raise
    except Exception as error:
        raise SpaceError(
            f"its annotation {annotation!r} cannot be evaluated ({error}); import its names at the top of "
            "the module."
        ) from None


def _read_parameter(
    keyword: inspect.Parameter, annotation: Any, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> Parameter:
    """Return the parameter of a keyword, which follows the parameters `earlier` and precedes `later`."""
    if annotation is keyword.empty:
        raise SpaceError("it has no annotation; write Annotated[float, Float(0.0, 1.0)], or a plain type.")
    domains = [one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, _DOMAINS)]
    if not domains:
        return _read_plain(keyword, annotation)
    if len(domains) > 1:
        raise SpaceError(f"expected one domain, got {len(domains)}; remove the others.")
    domain = domains[0].domain if isinstance(domains[0], Setting) else domains[0]
    _check_condition(keyword.name, domain, earlier, later)
    if keyword.default is REQUIRED:
        raise SpaceError(f"it has no default; every searched parameter needs one: {domain}.")
    with error_prefix("its default is outside its own range"):
        default: Any = domain.check(keyword.default)
    if isinstance(domain, List) and domain.same_length_as is not None:
        _check_earlier("same_length_as", domain.same_length_as, keyword.name, earlier, later)
        _check_same_length(domain.same_length_as, len(default), earlier)
    return Parameter(keyword.name, domain, default, searched=not isinstance(domains[0], Setting))


def _read_plain(keyword: inspect.Parameter, annotation: Any) -> Parameter:
    domain = plain_domain(annotation)
    if domain is None:
        hint = "; write str for a path" if annotation is Path else ""
        raise SpaceError(
            f"its annotation is {annotation!r}; expected Annotated[…] with Int, Float, Choice or List, "
            f"or one of str, int, float, bool, list, tuple{hint}."
        )
    default = keyword.default
    if default is not REQUIRED:
        with error_prefix("its default does not fit its annotation"):
            default = domain.check(default)
    return Parameter(keyword.name, domain, default, searched=False)


def _check_same_length(other: str, length: int, earlier: Mapping[str, Parameter]) -> None:
    """Raise SpaceError unless `other` is a list, and its default has `length` items."""
    if not isinstance(earlier[other].domain, List):
        raise SpaceError(f"same_length_as names '{other}', which is not a List: {earlier[other].domain}.")
    expected = len(earlier[other].default)
    if length != expected:
        items = count_text(length, "item")
        raise SpaceError(f"its default has {items}, but the default of '{other}' has {expected}.")


def _check_earlier(
    argument: str, other: str, name: str, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> None:
    """Raise SpaceError unless `other`, named by `argument` of the parameter `name`, comes before it."""
    if other in later:
        raise SpaceError(f"{argument} names '{other}', which comes after '{name}'; move it before '{name}'.")
    if other == name:
        raise SpaceError(f"{argument} names the parameter itself; name an earlier one.")
    if other not in earlier:
        hint = did_you_mean(other, [*earlier, *later])
        raise SpaceError(f"{argument} names '{other}', but there is no such parameter. {hint}")


def _check_condition(
    keyword: str, domain: Domain, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> None:
    """Raise SpaceError if a `when` condition is invalid, or can never be true."""
    if domain.when is not None and not isinstance(domain.when, Mapping):
        raise SpaceError(f"when must be a dict such as {{'optimizer': 'sgd'}}, got {show(domain.when)}.")
    for name, values in conditions(domain.when).items():
        _check_earlier("when", name, keyword, earlier, later)
        if not values:
            raise SpaceError(f"when {name} = [] is never true; name at least one value.")
        for value in values:
            with error_prefix(f"when {name} = {show(value)} is never true"):
                earlier[name].domain.check(value)
