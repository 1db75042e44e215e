"""`parametrize_with_checks`, in a run of pytest of its own."""

from __future__ import annotations

import sys

import pytest
from sound_plugins import small_net

from zoo import ZooError
from zoo.testing import parametrize_with_checks
from zoo.testing.subjects import SUBJECTS

pytest_plugins = ["pytester"]

OPTIONS = "input_shapes=[(9, 9, 1)], points=[], class_counts=[]"


@pytest.fixture
def run(pytester):
    def run(text, *arguments):
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rA", *arguments)

    return run


def test_each_check_is_a_test(run):
    result = run(
        f"""
        from sound_plugins import small_net
        from zoo.testing import parametrize_with_checks

        @parametrize_with_checks(small_net, {OPTIONS})
        def test_small_net(check):
            check()
        """
    )
    names = list(SUBJECTS["architecture"].suite.checks)
    for name in names:
        assert f"test_small_net[{name}]" in result.stdout.str() or name == "backends"
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] + outcomes.get("skipped", 0) == len(names)


def test_expected_failure_is_xfailed(run):
    result = run(
        f"""
        from broken_architectures import compiled, logits
        from zoo.testing import parametrize_with_checks

        @parametrize_with_checks(logits, expected_failures={{"probabilities": "made so"}}, {OPTIONS})
        def test_expected(check):
            check()

        @parametrize_with_checks(compiled, {OPTIONS})
        def test_not_expected(check):
            check()
        """,
        "-k",
        "probabilities or uncompiled or training_step",
    )
    result.stdout.fnmatch_lines(
        [
            "*SKIPPED*'probabilities' failed*",
            "*XFAIL*test_expected?probabilities? - made so*",
            "*FAILED*test_not_expected?uncompiled?*",
        ]
    )
    result.assert_outcomes(passed=3, skipped=1, xfailed=1, failed=1, deselected=28)
    assert "CheckFailed: compiled((9, 9, 1), 10): uncompiled: expected" in result.stdout.str()
    assert "direct cause" not in result.stdout.str()  # nothing of the kit's own insides


def test_passing_expected_failure_fails(run):
    result = run(
        f"""
        from sound_plugins import small_net
        from zoo.testing import parametrize_with_checks

        @parametrize_with_checks(small_net, expected_failures={{"docstring": "none yet"}}, {OPTIONS})
        def test_small_net(check):
            check()
        """,
        "-k",
        "docstring",
    )
    result.assert_outcomes(failed=1, deselected=len(SUBJECTS["architecture"].suite.checks) - 1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*none yet*"])


def test_kind_is_given_for_datasets_and_policies(run):
    result = run(
        """
        from zoo.builtin.augmentations import none
        from zoo.builtin.datasets import digits
        from zoo.testing import parametrize_with_checks

        @parametrize_with_checks(digits, kind="dataset")
        def test_digits(check):
            check()

        @parametrize_with_checks(none, kind="augmentation", input_shape=(9, 9, 1))
        def test_none(check):
            check()
        """
    )
    outcomes = result.parseoutcomes()
    assert "failed" not in outcomes
    assert "errors" not in outcomes
    assert outcomes["passed"] > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"expected_failures": {"probability": ""}},
            "there is no check 'probability' .* Did you mean 'probabilities'",
        ),
        ({"kind": "network"}, "there is no kind 'network'. Available: architecture, augmentation, dataset."),
        ({"smaples": 3}, "there is no option 'smaples'. Did you mean 'samples'"),
    ],
)
def test_mistakes_are_reported_before_any_test_runs(arguments, message):
    with pytest.raises(ZooError, match=message):
        parametrize_with_checks(small_net, **arguments)


def test_missing_kind_is_an_error():
    def flip(*, axis: str = "x"): ...

    with pytest.raises(
        ZooError,
        match="flip: the kind is unknown; add kind='dataset', kind='augmentation', kind='architecture' or",
    ):
        parametrize_with_checks(flip)


def test_missing_pytest_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(ZooError, match=r"parametrize_with_checks needs pytest, .* run `pip install pytest`"):
        parametrize_with_checks(small_net)
