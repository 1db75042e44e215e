"""How checks are declared, run one after another, and told.

A suite holds the checks of one kind: small functions that are given the subject, return a few words
on what was tried, and raise `Broken` or `Skipped`. A subject is one function under test, with what
its checks share, so that a network is built once however many checks look at it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, TypeVar

from zoo.errors import SpaceError, ZooError, did_you_mean
from zoo.registry import KINDS, RESERVED, is_name
from zoo.space import Space, read_space
from zoo.testing._failure import Broken, CheckFailed, Skipped, counted, told
from zoo.testing._origin import Origin, VariantOrigin, command, origin_of
from zoo.testing._state import random_numbers_kept

Demand = TypeVar("Demand", bound=Callable[[Any], str | None])


@dataclass(frozen=True)
class Check:
    """One demand of the contract; `needs` names the checks without which it says nothing."""

    name: str
    demand: Callable[[Any], str | None]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """How one check ended.

    Args:
        state: `passed`, `failed` or `skipped`.
        text: what was tried; what is wrong, and the line that reproduces it; why it was skipped.
        cause: what the plugin raised, if that is what is wrong.
    """

    check: str
    state: str
    text: str = ""
    cause: BaseException | None = None


class Suite:
    """The checks of one kind, in the order in which they are made."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.checks: dict[str, Check] = {}

    def check(self, *needs: str) -> Callable[[Demand], Demand]:
        """Declare a check: the function's name is the check's, its docstring what it demands."""

        def declare(demand: Demand) -> Demand:
            name = demand.__name__
            self.checks[name] = Check(name, demand, needs)
            return demand

        return declare

    def chosen(self, names: Sequence[str] | None) -> list[str]:
        """`names` in the order of the suite; all of them if None.

        Raises:
            ZooError: there is no such check.
        """
        if isinstance(names, str):
            raise ZooError(f"checks: expected a list of names, such as [{names!r}], but got {names!r}.")
        for name in names or ():
            if name not in self.checks:
                hint = did_you_mean(name, self.checks)
                article = "an" if self.kind[0] in "aeiou" else "a"
                raise ZooError(f"There is no check '{name}' for {article} {self.kind}. {hint}")
        return [name for name in self.checks if names is None or name in names]


class Subject:
    """One function under test, with the options of its check."""

    suite: ClassVar[Suite]

    def __init__(self, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
        self.function = function
        self.name = str(getattr(function, "__name__", repr(function)))
        self.origin = origin_of(function)
        self.given = dict(given)
        self._results: dict[str, Result] = {}

    @property
    def space(self) -> Space:
        """As the signature says, whatever the options."""
        return read_space(self.function, positional=KINDS[self.suite.kind])

    def validate(self) -> None:
        """Whether the options fit the function; ZooError if not. Called before the first check."""

    def begin(self, names: Sequence[str]) -> None:
        """Start what the checks `names` will wait for."""

    def result(self, name: str) -> Result:
        """How the check `name` ends; each is made once."""
        if name not in self._results:
            self._results[name] = self._made(self.suite.checks[name])
        return self._results[name]

    def found_elsewhere(self) -> Origin | VariantOrigin:
        """Where another process finds the function; a check that needs one is skipped where it cannot."""
        if self.origin is None:
            raise Skipped(f"another process cannot find {self.name}, which is no name in a module")
        return self.origin

    def results(self, names: Sequence[str]) -> Iterator[Result]:
        """How the checks `names` end, and those they need as far as they failed."""
        self.begin(names)
        for name in names:
            yield self.result(name)
        for name, result in self._results.items():
            if name not in names and result.state == "failed":
                yield result

    def _made(self, check: Check) -> Result:
        for name in check.needs:
            needed = self.result(name)
            if needed.state != "passed":
                reason = f"'{name}' failed" if needed.state == "failed" else needed.text
                return Result(check.name, "skipped", reason)
        try:
            with random_numbers_kept(), warnings.catch_warnings():
                # Keras's and NumPy's, which pytest may make errors. A message makes it another filter than
                # the one of a plugin that silences everything.
                warnings.filterwarnings("ignore", message=".*")
                return Result(check.name, "passed", check.demand(self) or "")
        except Skipped as reason:
            return Result(check.name, "skipped", str(reason))
        except Broken as found:
            return self._failed(check, found)
        except (Exception, SystemExit) as error:
            broken = Broken(f"expected no exception, but {told(error)}")
            broken.__cause__ = error
            return self._failed(check, broken)

    def _failed(self, check: Check, found: Broken) -> Result:
        call = found.call or self.name
        text = f"{call}: {check.name}: {found}\n  reproduce: {self.line(check.name, found.again)}"
        return Result(check.name, "failed", text, found.__cause__)

    def line(self, check: str, again: Mapping[str, Any]) -> str:
        """The line that makes `check` again, looking only at where it failed."""
        caller = f"check_{self.suite.kind}"
        imports, options = [f"from zoo.testing import {caller}"], ""
        for name, value in {"checks": [check], **self.given, **again}.items():
            origin = origin_of(value) if callable(value) else None
            imports += origin.imports if origin else []
            options += f", {name}={origin.expression if origin else repr(value)}"
        if self.origin is None:
            return f"{caller}({self.name}{options}), where {self.name} is defined"
        return command(self.origin, f"{caller}({self.origin.expression}{options})", imports)


def options_of(subject: type[Subject], options: Mapping[str, Any]) -> Mapping[str, Any]:
    """`options`, if `subject` has each of them.

    Raises:
        ZooError: it has not.
    """
    known = [name for name in inspect.signature(subject).parameters if name not in ("function", "given")]
    for name in options:
        if name not in known:
            raise ZooError(
                f"check_{subject.suite.kind}: there is no option '{name}'. {did_you_mean(name, known)}"
            )
    return options


def check_all(subject: Subject, names: Sequence[str] | None) -> None:
    """Make the checks called `names` (all if None), and all that they need.

    Raises:
        CheckFailed: with every failure.
    """
    __tracebackhide__ = True  # pytest shows the author's own line
    wanted = subject.suite.chosen(names)
    subject.validate()
    failures = [result for result in subject.results(wanted) if result.state == "failed"]
    if failures:
        text = "\n".join(result.text for result in failures)
        raise CheckFailed(text, [result.check for result in failures]) from failures[0].cause


def signature(subject: Subject) -> str:
    """The signature is one zoo can read, every keyword is annotated, every default inside its own range."""
    function, kind = subject.function, subject.suite.kind
    if not inspect.isfunction(function) or subject.name == "<lambda>":
        raise Broken(f"expected a named function (its name is the registered name), but got {function!r}")
    if not is_name(subject.name):
        raise Broken(
            "expected a name of letters without accents, digits and _, which begins with no digit, "
            f"but it is '{subject.name}'"
        )
    try:
        space = subject.space
    except SpaceError as error:
        reason = str(error).removeprefix(f"{subject.name}: ").rstrip(".")
        raise Broken(f"expected a signature that zoo can read, but {reason}") from error
    if RESERVED in space:
        text = f"expected no parameter '{RESERVED}', which in a study names the {kind}, but there is one"
        raise Broken(text)
    return counted(len(space), "parameter")


def docstring(subject: Subject) -> str:
    """The first line of the docstring says what it is: `zoo list` shows it."""
    first = (inspect.getdoc(subject.function) or "").partition("\n")[0].strip()
    if not first:
        raise Broken("expected a docstring, whose first line `zoo list` shows, but there is none")
    return first


def other_backends(here: str) -> list[str]:
    """Keras's backends, as far as zoo promises them, that are installed besides this one."""
    return [name for name in ("tensorflow", "jax") if name != here and find_spec(name)]
