"""Declaring checks, running them, and reporting their results.

A `Suite` contains the checks of one kind of component. A `Subject` is one function under test. A check takes
a subject; it returns a short text about what it tried, or raises `Violation` or `Skipped`. The subject keeps
what its checks share: a network is built once and used by all checks.
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

from zoo.errors import PluginError, SpaceError, ZooError, count_text, did_you_mean
from zoo.global_state import random_states_restored
from zoo.registry import KINDS, component_space
from zoo.space import Space, read_space, variant_defaults
from zoo.training.components import describe_error

Options = TypeVar("Options")
CheckFunction = TypeVar("CheckFunction", bound=Callable[[Any], str | None])


class CheckFailed(PluginError, AssertionError):
    """One or more failed checks. pytest reports this exception as a failure, not as an error.

    The attribute `failed` contains the names of the checks.
    """

    def __init__(self, text: str, failed: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.failed = tuple(failed)


class Violation(Exception):
    """A violation of the contract.

    Args:
        text: what was expected, what was found, what to do next.
        call: the call of the function under test, as Python code.
        options: options with which the check tries only the arguments that fail.
        cause: the exception that the plugin raised.
    """

    def __init__(
        self, text: str, call: str = "", options: Mapping[str, Any] = {}, cause: BaseException | None = None
    ) -> None:
        super().__init__(text)
        self.call = call
        self.options = dict(options)
        self.__cause__ = cause


def read_options(
    kind: str, options_class: Callable[..., Options], user_options: Mapping[str, Any]
) -> Options:
    """Return the options of the checks of a kind; raise ZooError for an unknown option."""
    names = inspect.signature(options_class).parameters
    for name in user_options:
        if name not in names:
            raise ZooError(f"check_{kind}: there is no option '{name}'. {did_you_mean(name, names)}")
    return options_class(**user_options)


class Skipped(Exception):
    """A check that cannot run; the text is the reason."""


@dataclass(frozen=True)
class Check:
    """A rule of the contract: its name, the function that checks it, and the checks that must pass first."""

    name: str
    run: Callable[[Any], str | None]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The result of one check."""

    check: str
    state: str  # passed, failed or skipped
    text: str = ""  # passed: what was tried; failed: the message and the command; skipped: the reason
    cause: BaseException | None = None  # the exception that the plugin raised


class Suite:
    """The checks of one kind of component, in the order in which they run.

    Every suite begins with the checks `signature` and `docstring`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.checks: dict[str, Check] = {}
        self.check()(signature)
        self.check("signature")(docstring)

    def check(self, *needs: str) -> Callable[[CheckFunction], CheckFunction]:
        """Return a decorator that adds a function to the suite, as a check with the function's name.

        Args:
            needs: names of the checks that must pass first.
        """

        def add(function: CheckFunction) -> CheckFunction:
            self.checks[function.__name__] = Check(function.__name__, function, needs)
            return function

        return add

    def select(self, names: Sequence[str] | None) -> list[str]:
        """Return `names` in the order of the suite, all if None; raise ZooError for an unknown name."""
        if isinstance(names, str):
            raise ZooError(f"checks: expected a list of names, such as [{names!r}], got {names!r}.")
        for name in names or ():
            if name not in self.checks:
                article = "an" if self.kind[0] in "aeiou" else "a"
                hint = did_you_mean(name, self.checks)
                raise ZooError(f"there is no check '{name}' for {article} {self.kind}. {hint}")
        return [name for name in self.checks if names is None or name in names]


class Subject:
    """A function under test; `user_options` are the options of the checks that the user sets."""

    suite: ClassVar[Suite]

    def __init__(self, function: Callable[..., Any], user_options: Mapping[str, Any]) -> None:
        self.function = function
        self.name = str(getattr(function, "__name__", repr(function)))
        self.origin = origin_of(function)
        self.user_options = dict(user_options)
        self._results: dict[str, Result] = {}

    @property
    def space(self) -> Space:
        """The search space in the function's signature."""
        return read_space(self.function, positional=KINDS[self.suite.kind])

    def validate(self) -> None:
        """Raise ZooError if an option does not fit the function. To be called before the first check."""
        with suppress(SpaceError):  # the check `signature` reports an invalid search space
            _ = self.space
            self.validate_options()

    def validate_options(self) -> None:
        """Raise ZooError if an option does not fit the function's search space."""

    def prepare(self, names: Sequence[str]) -> None:
        """Start, in the background, a process that the checks `names` need."""

    def result(self, name: str) -> Result:
        """Return the result of a check; run the check on the first call."""
        if name not in self._results:
            self._results[name] = self._run(self.suite.checks[name])
        return self._results[name]

    def results(self, names: Sequence[str]) -> Iterator[Result]:
        """Yield the results of the checks `names`, then the failed results of other checks that they need."""
        self.prepare(names)
        for name in names:
            yield self.result(name)
        for name, result in self._results.items():
            if name not in names and result.state == "failed":
                yield result

    def importable_origin(self) -> Origin:
        """Return the origin of the function; raise Skipped if another process cannot import the function."""
        if self.origin is None:
            raise Skipped(
                f"another process cannot import {self.name}; define the function at the top level of a module"
            )
        return self.origin

    def _run(self, check: Check) -> Result:
        for name in check.needs:
            earlier = self.result(name)
            if earlier.state != "passed":
                reason = f"'{name}' failed" if earlier.state == "failed" else earlier.text
                return Result(check.name, "skipped", reason)
        try:
            with random_states_restored(), warnings.catch_warnings():
                # pytest may turn warnings of Keras and NumPy into errors. The pattern makes this filter
                # different from the filter that `warnings.simplefilter("ignore")` adds. So the check
                # `global_state` still detects a plugin that adds that filter.
                warnings.filterwarnings("ignore", message=".*")
                return Result(check.name, "passed", check.run(self) or "")
        except Skipped as reason:
            return Result(check.name, "skipped", str(reason))
        except Violation as error:
            violation = error
        except (Exception, SystemExit) as error:
            text = f"expected no exception, got {describe_error(error)}"
            violation = Violation(text, cause=error)
        command = self._reproducing_command(check.name, violation.options)
        text = f"{violation.call or self.name}: {check.name}: {violation}\n  reproduce: {command}"
        return Result(check.name, "failed", text, violation.__cause__)

    def _reproducing_command(self, check: str, options: Mapping[str, Any]) -> str:
        """Return a shell command that runs `check` again, with the options of the violation."""
        caller = f"check_{self.suite.kind}"
        imports, arguments = [f"from zoo.testing import {caller}"], ""
        for name, value in {"checks": [check], **self.user_options, **options}.items():
            origin = origin_of(value) if callable(value) else None
            imports += origin.imports if origin else []
            arguments += f", {name}={origin.expression if origin else repr(value)}"
        if self.origin is None:
            return f"call {caller}({self.name}{arguments}) in the scope that defines {self.name}"
        return shell_command(self.origin, f"{caller}({self.origin.expression}{arguments})", imports)


def check_all(subject: Subject, names: Sequence[str] | None) -> None:
    """Run the checks `names` (all if None) and those that they need; raise CheckFailed if any check fails."""
    __tracebackhide__ = True  # pytest shows the line of the test instead of this one
    selected = subject.suite.select(names)
    subject.validate()
    failures = [result for result in subject.results(selected) if result.state == "failed"]
    if failures:
        text = "\n".join(result.text for result in failures)
        raise CheckFailed(text, [result.check for result in failures]) from failures[0].cause


def signature(subject: Subject) -> str:
    """Check the name of the function, and the names, annotations and defaults of its parameters."""
    try:
        space = component_space(subject.suite.kind, subject.function)
    except PluginError as error:
        reason = str(error).removeprefix(f"{subject.name}: ").rstrip(".")
        prefix = "" if reason.startswith("expected") else "expected a signature that zoo can read, but "
        raise Violation(prefix + reason) from error
    return count_text(len(space), "parameter")


def docstring(subject: Subject) -> str:
    """Check that the docstring has a first line, which `zoo list` shows."""
    first = (inspect.getdoc(subject.function) or "").partition("\n")[0].strip()
    if not first:
        raise Violation("expected a docstring, got none; `zoo list` shows its first line as the description")
    return first


def call_text(name: str, positional: Sequence[Any], parameters: Mapping[str, Any]) -> str:
    """Return a call as Python code: `conv_net((28, 28, 1), 10, dropout=0.25)`."""
    keywords = [f"{key}={value!r}" for key, value in parameters.items()]
    return f"{name}({', '.join([*map(repr, positional), *keywords])})"


def progress_text(num_tried: int, num_planned: int, noun: str) -> str:
    """Return `3 points`, or `2 of 3 points (time limit)`."""
    if num_tried == num_planned:
        return count_text(num_tried, noun)
    return f"{num_tried:,} of {count_text(num_planned, noun)} (time limit)"


@dataclass(frozen=True)
class Origin:
    """Python code that evaluates to a function in another process.

    `expression` is a name in a module, or a call of `zoo.variant` for a variant that a hook creates.
    """

    module: str
    imports: tuple[str, ...]  # statements to execute first
    expression: str

    def load(self) -> Callable[..., Any]:
        """Return the function."""
        names: dict[str, Any] = {}
        exec("\n".join(self.imports), names)
        function: Callable[..., Any] = eval(self.expression, names)
        return function


def origin_of(function: Callable[..., Any]) -> Origin | None:
    """Return the origin of `function`; None if no module has it under a name, as for an inner function."""
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


def shell_command(origin: Origin, statement: str, imports: list[str]) -> str:
    """Return a shell command that runs `statement` after `imports` and the imports of `origin`."""
    code = "; ".join([*imports, *origin.imports, statement])
    quoted = f'"{code}"' if not set(code) & set('"$`\\!') else shlex.quote(code)
    return f"{_environment_prefix(origin.module)}python -c {quoted}"


def _environment_prefix(module: str) -> str:
    """Return the environment variables of a command: KERAS_BACKEND, PYTHONPATH of an uninstalled module."""
    backend = os.environ.get("KERAS_BACKEND")
    variables = [f"KERAS_BACKEND={backend}"] if backend else []
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if file is not None:
        path = Path(file).resolve()
        folder = path.parents[1] if path.name == "__init__.py" else path.parent
        if folder != Path.cwd() and folder.name not in ("site-packages", "dist-packages"):
            relative = os.path.relpath(folder)
            path_text = str(folder) if relative.startswith("..") else relative
            variables.append(f"PYTHONPATH={shlex.quote(path_text)}")
    return "".join(f"{variable} " for variable in variables)
