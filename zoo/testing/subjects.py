"""The subject class of each kind of component, and the pytest decorator that runs each check as a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from zoo.errors import ZooError, did_you_mean
from zoo.registry import KINDS
from zoo.testing.architectures import ArchitectureSubject
from zoo.testing.augmentations import PolicySubject
from zoo.testing.datasets import DatasetSubject
from zoo.testing.kit import CheckFailed, Subject
from zoo.testing.metrics import MetricSubject

# A subject takes options of its checks. The options of a dataset's checks are values of its parameters.
SUBJECTS: Mapping[str, Any] = {
    "dataset": DatasetSubject,
    "architecture": ArchitectureSubject,
    "augmentation": PolicySubject,
    "metric": MetricSubject,
}


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
        kind: `architecture`, `dataset`, `augmentation` or `metric`. Without it, the function must be an
            architecture or a metric.
        expected_failures: check that fails -> reason. pytest reports the check as xfail. If the check passes,
            its test fails, so that the author removes the check from `expected_failures`.
        options: options of `check_architecture`, `check_dataset`, `check_augmentation` or `check_metric`. A
            parameter of a dataset called `kind` or `expected_failures` cannot be set here.

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
        raise ZooError(f"there is no kind '{kind}'. {did_you_mean(kind, SUBJECTS)}")
    subject: Subject = SUBJECTS[kind](function, options)
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
    """Return the kind whose positional parameters the signature has; raise ZooError if it has none."""
    with suppress(TypeError, ValueError):  # `function` is not a function
        for parameter in inspect.signature(function).parameters.values():
            for kind in ("architecture", "metric"):
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name in KINDS[kind]:
                    return kind
    name = getattr(function, "__name__", repr(function))
    raise ZooError(
        f"{name}: the kind is unknown; add kind='dataset', kind='augmentation', kind='architecture' or "
        "kind='metric'."
    )
