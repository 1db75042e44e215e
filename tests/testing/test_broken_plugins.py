"""Each broken plugin fails exactly one check."""

from __future__ import annotations

import re
import socket

import broken_architectures
import broken_augmentations
import broken_datasets
import pytest

from zoo.testing import CheckFailed
from zoo.testing._workers import other_backends
from zoo.testing.subjects import SUBJECTS

# The corners of the search space are tried, too.
FEW_NETWORKS = {"samples": 1, "input_shapes": [(28, 28, 1), (33, 27, 3)], "class_counts": [2]}


def failures(kind, function, options):
    """Return name and text of every failed check."""
    subject = SUBJECTS[kind](function, options)
    results = list(subject.results(list(subject.suite.checks)))
    for result in results:
        print(f"{result.check:16} {result.state:8} {result.text}")
    return {result.check: result.text for result in results if result.state == "failed"}


def reproduce(text, check):
    """Run the command of a failure in this process, not in a shell."""
    line = re.search(r'\n  reproduce: (?:\w+=\S+ )*python -c "(.*)"$', text)
    assert line is not None, text
    with pytest.raises(CheckFailed) as failure:
        exec(line[1], {})
    assert failure.value.failed == (check,)


def assert_fails_only(kind, function, check, options):
    found = failures(kind, function, options)
    assert set(found) == {check}
    assert found[check].startswith((f"{function.__name__}: {check}: ", f"{function.__name__}("))
    assert "expected" in found[check]
    assert re.search(r"\b(but|got)\b", found[check])
    reproduce(found[check], check)


def names(broken):
    return [f"{function.__name__}-{check}" for function, check, *_ in broken]


def needs_two_backends(check):
    if check == "backends" and not other_backends():
        pytest.skip("only one backend is installed")


@pytest.mark.parametrize(
    ("function", "check", "options"), broken_architectures.BROKEN, ids=names(broken_architectures.BROKEN)
)
def test_broken_architecture_fails_its_check(function, check, options):
    needs_two_backends(check)
    assert_fails_only("architecture", function, check, {**FEW_NETWORKS, **options})


@pytest.mark.parametrize(
    ("function", "check", "options"), broken_augmentations.BROKEN, ids=names(broken_augmentations.BROKEN)
)
def test_broken_policy_fails_its_check(function, check, options):
    needs_two_backends(check)
    assert_fails_only("augmentation", function, check, options)


@pytest.mark.parametrize(("function", "check"), broken_datasets.BROKEN, ids=names(broken_datasets.BROKEN))
def test_broken_dataset_fails_its_check(function, check, monkeypatch):
    with socket.create_server(("localhost", 0)) as server:
        monkeypatch.setenv("BROKEN_DATASETS_PORT", str(server.getsockname()[1]))
        assert_fails_only("dataset", function, check, {})


def test_every_check_has_a_broken_plugin():
    for module, kind in (
        (broken_architectures, "architecture"),
        (broken_augmentations, "augmentation"),
        (broken_datasets, "dataset"),
    ):
        assert {check for _, check, *_ in module.BROKEN} == set(SUBJECTS[kind].suite.checks)
