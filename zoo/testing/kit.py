"""Checks: how they are declared, run and reported.

A suite holds the checks of one kind: small functions that take a subject, return a few words on what they
tried, and raise `Violation` or `Skipped`. A subject is one function under test with everything that its
checks share, so that a network is built once, however many checks look at it.
"""

from __future__ import annotations

import inspect
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from zoo.errors import PluginError, SpaceError, ZooError, did_you_mean
from zoo.global_state import random_states_restored
from zoo.registry import KINDS, component_space
from zoo.space import Space, read_space, variant_defaults
from zoo.training.components import describe_error

Function = TypeVar("Function", bound=Callable[[Any], str | None])


class CheckFailed(PluginError, AssertionError):
    """A plugin's function broke the contract. pytest counts it as a failure, not as an error.

    `failed` has the names of the checks.
    """

    def __init__(self, text: str, failed: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.failed = tuple(failed)


class Violation(Exception):
    """A breach of the contract that a check found: what was expected and what was found.

    With `options` the check looks at this place only; `cause` is the exception that the plugin raised.
    """

    def __init__(
        self, text: str, call: str = "", options: Mapping[str, Any] = {}, cause: BaseException | None = None
    ) -> None:
        super().__init__(text)
        self.call = call
        self.options = dict(options)
        self.__cause__ = cause


class Skipped(Exception):
    """The reason why a check cannot run here."""


@dataclass(frozen=True)
class Check:
    """One rule of the contract; `needs` names the checks that must pass first."""

    name: str
    run: Callable[[Any], str | None]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The result of one check."""

    check: str
    state: str  # passed, failed or skipped
    text: str = ""  # what was tried; what is wrong, with the line that reproduces it; why it was skipped
    cause: BaseException | None = None  # the exception that the plugin raised


class Suite:
    """The checks of one kind, in the order in which they run. Those of signature and docstring come first."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.checks: dict[str, Check] = {}
        self.check()(signature)
        self.check("signature")(docstring)

    def check(self, *needs: str) -> Callable[[Function], Function]:
        """Declare a check, which has the name of the decorated function."""

        def declare(function: Function) -> Function:
            self.checks[function.__name__] = Check(function.__name__, function, needs)
            return function

        return declare

    def select(self, names: Sequence[str] | None) -> list[str]:
        """Return `names` in the order of the suite, all if None; raise ZooError if there is no such check."""
        if isinstance(names, str):
            raise ZooError(f"checks: expected a list of names, such as [{names!r}], got {names!r}.")
        for name in names or ():
            if name not in self.checks:
                article = "an" if self.kind[0] in "aeiou" else "a"
                hint = did_you_mean(name, self.checks)
                raise ZooError(f"There is no check '{name}' for {article} {self.kind}. {hint}")
        return [name for name in self.checks if names is None or name in names]


class Subject:
    """A function under test. `given` are the options of its check, as the user wrote them."""

    suite: ClassVar[Suite]

    def __init__(self, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
        self.function = function
        self.name = str(getattr(function, "__name__", repr(function)))
        self.origin = origin_of(function)
        self.given = dict(given)
        self._results: dict[str, Result] = {}

    @property
    def space(self) -> Space:
        """The search space in the function's signature."""
        return read_space(self.function, positional=KINDS[self.suite.kind])

    def validate(self) -> None:
        """Raise ZooError if the options do not fit the function. Called before the first check."""
        with suppress(SpaceError):  # the check `signature` reports it
            _ = self.space
            self.validate_options()

    def validate_options(self) -> None:
        """Raise ZooError if the options do not fit the function's search space."""

    def prepare(self, names: Sequence[str]) -> None:
        """Start in the background what the checks `names` need."""

    def result(self, name: str) -> Result:
        """Return the result of a check, which runs once."""
        if name not in self._results:
            self._results[name] = self._run(self.suite.checks[name])
        return self._results[name]

    def results(self, names: Sequence[str]) -> Iterator[Result]:
        """Yield the results of the checks `names`, and of those that they need and that failed."""
        self.prepare(names)
        for name in names:
            yield self.result(name)
        for name, result in self._results.items():
            if name not in names and result.state == "failed":
                yield result

    def importable_origin(self) -> Origin:
        """Return where another process finds the function; raise Skipped if it is no name in a module."""
        if self.origin is None:
            raise Skipped(f"another process cannot import {self.name}, which is no name in a module")
        return self.origin

    def _run(self, check: Check) -> Result:
        for name in check.needs:
            needed = self.result(name)
            if needed.state != "passed":
                reason = f"'{name}' failed" if needed.state == "failed" else needed.text
                return Result(check.name, "skipped", reason)
        try:
            with random_states_restored(), warnings.catch_warnings():
                # pytest may turn warnings of Keras and NumPy into errors. Because of its message pattern this
                # filter differs from that of a plugin that silences all warnings, which is then noticed.
                warnings.filterwarnings("ignore", message=".*")
                return Result(check.name, "passed", check.run(self) or "")
        except Skipped as reason:
            return Result(check.name, "skipped", str(reason))
        except Violation as error:
            violation = error
        except (Exception, SystemExit) as error:
            text = f"expected no exception, but it raised {describe_error(error)}"
            violation = Violation(text, cause=error)
        line = self._reproducing_line(check.name, violation.options)
        text = f"{violation.call or self.name}: {check.name}: {violation}\n  reproduce: {line}"
        return Result(check.name, "failed", text, violation.__cause__)

    def _reproducing_line(self, check: str, options: Mapping[str, Any]) -> str:
        """Return a command that runs `check` again, only at the place where it failed."""
        caller = f"check_{self.suite.kind}"
        imports, arguments = [f"from zoo.testing import {caller}"], ""
        for name, value in {"checks": [check], **self.given, **options}.items():
            origin = origin_of(value) if callable(value) else None
            imports += origin.imports if origin else []
            arguments += f", {name}={origin.expression if origin else repr(value)}"
        if self.origin is None:
            return f"{caller}({self.name}{arguments}), where {self.name} is defined"
        return command(self.origin, f"{caller}({self.origin.expression}{arguments})", imports)


def check_all(subject: Subject, names: Sequence[str] | None) -> None:
    """Run the checks `names` (all if None), and all that they need; raise CheckFailed with every failure."""
    __tracebackhide__ = True  # pytest shows the author's own line
    selected = subject.suite.select(names)
    subject.validate()
    failures = [result for result in subject.results(selected) if result.state == "failed"]
    if failures:
        text = "\n".join(result.text for result in failures)
        raise CheckFailed(text, [result.check for result in failures]) from failures[0].cause


def signature(subject: Subject) -> str:
    """Check that the function can be registered: its name, and the names, annotations and defaults of it."""
    try:
        space = component_space(subject.suite.kind, subject.function)
    except PluginError as error:
        reason = str(error).removeprefix(f"{subject.name}: ").rstrip(".")
        prefix = "" if reason.startswith("expected") else "expected a signature that zoo can read, but "
        raise Violation(prefix + reason) from error
    return counted(len(space), "parameter")


def docstring(subject: Subject) -> str:
    """Check that the docstring has a first line, which `zoo list` shows."""
    first = (inspect.getdoc(subject.function) or "").partition("\n")[0].strip()
    if not first:
        raise Violation("expected a docstring, whose first line `zoo list` shows, but there is none")
    return first


def call_text(name: str, positional: Sequence[Any], parameters: Mapping[str, Any]) -> str:
    """Return the call as one would type it: `conv_net((28, 28, 1), 10, dropout=0.25)`."""
    keywords = [f"{key}={value!r}" for key, value in parameters.items()]
    return f"{name}({', '.join([*map(repr, positional), *keywords])})"


def counted(number: int, noun: str) -> str:
    """Return `1 layer` or `12,345 weights`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def counted_of(tried: int, planned: int, noun: str) -> str:
    """Return `3 points`, or `2 of 3 points (time limit)`."""
    return counted(tried, noun) if tried == planned else f"{tried:,} of {planned:,} {noun}s (time limit)"


@dataclass(frozen=True)
class Origin:
    """Code that imports a function: a name in a module, or a `zoo.variant` of it that a hook made."""

    module: str
    imports: tuple[str, ...]
    expression: str

    def load(self) -> Callable[..., Any]:
        names: dict[str, Any] = {}
        exec("\n".join(self.imports), names)
        function: Callable[..., Any] = eval(self.expression, names)
        return function


def origin_of(function: Callable[..., Any]) -> Origin | None:
    """Return the origin of `function`; None if it is no name in a module, like an inner function."""
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module and module != "__main__" and all(part.isidentifier() for part in path.split(".")):
        origin = Origin(module, (f"from {module} import {path.partition('.')[0]}",), path)
        with suppress(ImportError, AttributeError):
            if origin.load() is function:
                return origin
    defaults = variant_defaults(function)
    base = None if defaults is None else origin_of(inspect.unwrap(function))
    if base is None or defaults is None:
        return None
    description = (inspect.getdoc(function) or "").partition("\n")[0]
    keywords = "".join(f", {key}={value!r}" for key, value in defaults.items())
    expression = f"variant({base.expression}, {function.__name__!r}, {description!r}{keywords})"
    return Origin(base.module, (*base.imports, "from zoo import variant"), expression)


def command(origin: Origin, statement: str, imports: list[str]) -> str:
    """Return a shell command that runs `statement` after the imports that it needs."""
    code = "; ".join([*imports, *origin.imports, statement])
    quoted = f'"{code}"' if not set(code) & set('"$`\\!') else shlex.quote(code)
    return f"{_variables(origin.module)}python -c {quoted}"


def _variables(module: str) -> str:
    """Return the variables of the command: the backend, and the folder of a module that is not installed."""
    backend = os.environ.get("KERAS_BACKEND")
    variables = [f"KERAS_BACKEND={backend}"] if backend else []
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if file is not None:
        path = Path(file).resolve()
        folder = path.parents[1] if path.name == "__init__.py" else path.parent
        if folder != Path.cwd() and folder.name not in ("site-packages", "dist-packages"):
            relative = os.path.relpath(folder)
            shown = str(folder) if relative.startswith("..") else relative
            variables.append(f"PYTHONPATH={shlex.quote(shown)}")
    return "".join(f"{variable} " for variable in variables)
