"""Garbage collection around imports."""

from __future__ import annotations

import gc

import pytest

from zoo.garbage import collections_after_imports, imports_are_over


@pytest.fixture(autouse=True)
def restored():
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_until_imports_are_over():
    frozen = gc.get_freeze_count()
    with collections_after_imports():
        assert not gc.isenabled()
        imports_are_over()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen + 1000
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_setting_of_the_caller_is_kept():
    gc.disable()
    with collections_after_imports():
        imports_are_over()
    assert not gc.isenabled()
