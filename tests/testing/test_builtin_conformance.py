"""zoo's own plugins pass the kit: whatever is registered, in this checkout alone."""

from __future__ import annotations

import os

import pytest

from zoo import ZooError
from zoo.registry import Registry
from zoo.testing._subjects import SUBJECTS

# Options of the kit for those that are not tried as they are.
OPTIONS: dict[str, dict] = {}
# (name, check) → why it fails, and may.
EXPECTED: dict[tuple[str, str], str] = {}
# Networks that take longer to build than the others together.
SLOW: set[str] = set()


def registered(kind, marks=lambda entry: ()):
    entries = [entry for entry in Registry.load([]).entries() if entry.kind == kind]
    return pytest.mark.parametrize(
        "entry", [pytest.param(entry, id=entry.name, marks=marks(entry)) for entry in entries]
    )


@registered("architecture", lambda entry: [pytest.mark.slow] if entry.name in SLOW else [])
def test_architectures(entry):
    options = {"samples": 10}
    if hasattr(entry.function, "__wrapped__"):  # a zoo.variant, whose space is another's
        options = {"points": [], "class_counts": [2]}
    keeps_the_contract(entry, options | OPTIONS.get(entry.name, {}))


@registered("augmentation")
def test_augmentations(entry):
    keeps_the_contract(entry, {"samples": 10} | OPTIONS.get(entry.name, {}))


@registered("dataset", lambda entry: [] if entry.name == "digits" else [pytest.mark.real_data])
def test_datasets(entry):
    if entry.name != "digits" and not os.environ.get("ZOO_DATA_DIR"):
        pytest.skip("ZOO_DATA_DIR names no folder with data")
    options = OPTIONS.get(entry.name, {})
    try:
        entry.function(**entry.space.check(options))
    except ZooError as error:
        pytest.skip(f"it cannot be had here: {error}")
    keeps_the_contract(entry, options)


def keeps_the_contract(entry, options):
    subject = SUBJECTS[entry.kind](entry.function, given=options, **options)
    subject.validate()
    results = list(subject.results(list(subject.suite.checks)))
    for result in results:
        print(f"{result.check:16} {result.state:8} {result.text}")
    failed = {result.check for result in results if result.state == "failed"}
    assert failed == {check for name, check in EXPECTED if name == entry.name}
