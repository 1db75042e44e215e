"""Reading a search space from the signature of the function that takes it."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.errors import SpaceError, did_you_mean
from zoo.space._domains import Choice, Domain, Float, Int, List, Plain, Setting
from zoo.space._space import REQUIRED, Parameter, Space
from zoo.space._values import about, conditions, show

SETTINGS = "zoo_settings"  # attribute of a function: keywords that are searched only where a study says so


def read_space(function: Callable[..., Any], *, positional: Sequence[str] = ()) -> Space:
    """The search space in the signature of `function`: its keyword-only parameters.

    Each is annotated with a domain, `Annotated[float, Float(0.0, 0.6)] = 0.25`, or with a plain
    type, `path: str`, for what a study may set but nobody searches. `positional` names what comes
    before them. Annotations are evaluated one by one, so a quoted return type imports nothing.

    Raises:
        SpaceError: the signature is not of that form, or a default lies outside its own range.
    """
    name = getattr(function, "__name__", repr(function))
    keywords = _keywords(name, function, positional)
    names_known = getattr(inspect.unwrap(function), "__globals__", {})
    settings: frozenset[str] = getattr(function, SETTINGS, frozenset())
    parameters: list[Parameter] = []
    for keyword in keywords:
        with about(f"{name}: parameter '{keyword.name}'"):
            annotation = _evaluated(keyword.annotation, names_known)
            earlier = {one.name: one for one in parameters}
            later = [one.name for one in keywords[len(parameters) + 1 :]]
            parameter = _read_parameter(keyword, annotation, earlier, later)
            parameters.append(replace(parameter, searched=False) if keyword.name in settings else parameter)
            _check_kept_length(parameters)
    return Space(parameters)


def _keywords(name: str, function: Callable[..., Any], positional: Sequence[str]) -> list[inspect.Parameter]:
    """The keyword-only parameters of `function`, which has just `positional` before them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise SpaceError(f"{name}: expected a function with a signature, but {error}.") from None
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SpaceError(f"{name} takes '{parameter}', but every parameter needs a name of its own.")
    keywords = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    leading = [parameter.name for parameter in parameters if parameter not in keywords]
    if leading != list(positional):
        expected = ", ".join([*positional, "*", "…"])
        raise SpaceError(
            f"{name}: expected the signature {name}({expected}), "
            f"but its positional parameters are ({', '.join(leading)})."
        )
    return keywords


def _evaluated(annotation: Any, names_known: dict[str, Any]) -> Any:
    """`annotation`, which is a string after `from __future__ import annotations`."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names_known)
    except SpaceError:
        raise
    except Exception as error:
        raise SpaceError(
            f"its annotation {annotation!r} cannot be read ({error}); import at the top what it names."
        ) from None


def _read_parameter(
    keyword: inspect.Parameter, annotation: Any, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> Parameter:
    if annotation is keyword.empty:
        raise SpaceError("it has no annotation; write Annotated[float, Float(0.0, 1.0)], or a plain type.")
    marks = [mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, _MARKS)]
    if not marks:
        return _read_plain(keyword, annotation)
    if len(marks) > 1:
        raise SpaceError(f"it has {len(marks)} domains, but one is expected.")
    domain = marks[0].domain if isinstance(marks[0], Setting) else marks[0]
    _check_condition(keyword.name, domain, earlier, later)
    if keyword.default is REQUIRED:
        raise SpaceError(f"it has no default; every searched parameter needs one: {domain}.")
    with about("its default is outside its own range"):
        default: Any = domain.check(keyword.default)
    if isinstance(domain, List) and domain.same_length_as is not None:
        _check_earlier("same_length_as", domain.same_length_as, keyword.name, earlier, later)
        _check_leader(domain.same_length_as, len(default), earlier)
    return Parameter(keyword.name, domain, default, searched=not isinstance(marks[0], Setting))


def _read_plain(keyword: inspect.Parameter, annotation: Any) -> Parameter:
    domain = Plain(_plain_types(annotation))
    default = keyword.default
    if default is not REQUIRED:
        with about("its default is not of its own type"):
            default = domain.check(default)
    return Parameter(keyword.name, domain, default, searched=False)


def _check_leader(leader: str, length: int, earlier: Mapping[str, Parameter]) -> None:
    if not isinstance(earlier[leader].domain, List):
        raise SpaceError(f"same_length_as names '{leader}', but that is no List: {earlier[leader].domain}.")
    wanted = len(earlier[leader].default)
    if length != wanted:
        raise SpaceError(f"its default has {length} items, but that of '{leader}' has {wanted}.")


def _check_kept_length(parameters: Sequence[Parameter]) -> None:
    """The last one, if it keeps its default, follows a list that always has as many items."""
    parameter = parameters[-1]
    leader = parameter.follows
    if leader is None or parameter.searched:
        return
    if Space(parameters).lengths(leader) != {len(parameter.default)}:
        raise SpaceError(
            f"it keeps its default, but is as long as '{leader}', which is searched; "
            f"give '{leader}' a default too."
        )


def _check_earlier(
    word: str, other: str, name: str, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> None:
    """That `other`, which `word` of the parameter `name` names, stands in front of it."""
    if other in later:
        raise SpaceError(f"{word} names '{other}', which comes after '{name}'; move it in front.")
    if other == name:
        raise SpaceError(f"{word} names the parameter itself; name an earlier one.")
    if other not in earlier:
        hint = did_you_mean(other, [*earlier, *later])
        alone = "There is no parameter but this one."
        raise SpaceError(
            f"{word} names '{other}', but there is no such parameter. {hint if earlier or later else alone}"
        )


def _check_condition(
    keyword: str, domain: Domain, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> None:
    if domain.when is not None and not isinstance(domain.when, Mapping):
        raise SpaceError(f"when is a table such as {{'optimizer': 'sgd'}}, but got {show(domain.when)}.")
    for name, wanted in conditions(domain.when).items():
        _check_earlier("when", name, keyword, earlier, later)
        if not wanted:
            raise SpaceError(f"when {name} = [] can never be; name at least one value.")
        for value in wanted:
            with about(f"when {name} = {show(value)} can never be"):
                earlier[name].domain.check(value)


_MARKS = (Int, Float, Choice, List, Setting)
_PLAIN = (str, int, float, bool, list, tuple, type(None))


def _plain_types(annotation: Any) -> tuple[type, ...]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if is_union else (annotation,)
    kinds = tuple(type(None) if member is None else typing.get_origin(member) or member for member in members)
    if not all(kind in _PLAIN for kind in kinds):
        raise SpaceError(
            f"its annotation is {annotation!r}; expected Annotated[…] with Int, Float, Choice or List, "
            "or one of str, int, float, bool, list, tuple."
        )
    return kinds
