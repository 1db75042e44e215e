"""One pytest test for each check."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import ZooError, did_you_mean
from zoo.registry import KINDS
from zoo.testing._failures import CheckFailed
from zoo.testing.kit import Subject
from zoo.testing.subjects import SUBJECTS, subject_of


def parametrize_with_checks(
    function: Callable[..., Any],
    /,
    *,
    kind: str | None = None,
    expected_failures: Mapping[str, str] | None = None,
    **options: Any,
) -> Any:
    """Return a pytest decorator that runs every check of `function` as a test.

        @parametrize_with_checks(my_net, expected_failures={"small_images": "made for photographs"})
        def test_my_net(check):
            check()

    Args:
        kind: `architecture`, `dataset` or `augmentation`; not needed for an architecture.
        expected_failures: name of a check -> reason of its failure. pytest reports it as xfail; when the
            check passes, the test fails, so that the entry is removed.
        options: of `check_architecture`, `check_dataset` or `check_augmentation`. A dataset's parameters
            called `kind` or `expected_failures` cannot be given here.

    Raises:
        ZooError: pytest is not installed, the kind is missing or unknown, or there is no such check or
            option.
    """
    try:
        import pytest
    except ImportError:
        raise ZooError(
            "parametrize_with_checks needs pytest, which is not installed; run `pip install pytest`."
        ) from None

    kind = kind or _kind_of(function)
    if kind not in SUBJECTS:
        raise ZooError(f"There is no kind '{kind}'. {did_you_mean(kind, SUBJECTS)}")
    subject = subject_of(kind, function, options)
    expected = dict(expected_failures or {})
    subject.suite.select(list(expected))
    parameters = []
    for name in subject.suite.checks:
        marks = []
        if name in expected:
            marks = [pytest.mark.xfail(reason=expected[name], strict=True, raises=CheckFailed)]
        parameters.append(pytest.param(_one_check(subject, name), id=name, marks=marks))
    return pytest.mark.parametrize("check", parameters)


def _one_check(subject: Subject, name: str) -> Callable[[], None]:
    """Return a function that runs one check; it raises CheckFailed, or skips the test."""

    def check() -> None:
        __tracebackhide__ = True
        import pytest

        subject.validate()
        result = subject.result(name)
        if result.state == "skipped":
            pytest.skip(result.text)
        if result.state == "failed":
            raise CheckFailed(result.text, [name]) from result.cause

    return check


def _kind_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", repr(function))
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    if set(positional) & set(KINDS["architecture"]):
        return "architecture"
    raise ZooError(f"{name}: give its kind: kind='dataset', kind='augmentation' or kind='architecture'.")
