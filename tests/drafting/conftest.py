"""Fixtures of the tests of drafts."""

from __future__ import annotations

import pytest

from zoo.data.prepare import prepare
from zoo.drafting._reading import Reader
from zoo.record import create_folder


@pytest.fixture
def two_cores(monkeypatch):
    """Estimates as on a machine with two cores and no GPU."""
    monkeypatch.setattr("zoo.training.backend.available_cores", lambda: 2)
    monkeypatch.setattr("zoo.training.backend.visible_gpus", lambda: [])


@pytest.fixture
def in_process(monkeypatch):
    """Datasets are prepared in this process, which is faster than starting one."""

    def prepare_here(reader):
        create_folder(reader._cache_dir)
        return prepare(reader._component, reader._parameters, {}, reader._cache_dir)

    monkeypatch.setattr(Reader, "_prepare", prepare_here)
