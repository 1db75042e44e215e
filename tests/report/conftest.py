"""Recorded studies that were never trained, and a report of one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import report_studies

from zoo.record import StudyDirectory
from zoo.report import write_report


@pytest.fixture
def make_study(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StudyDirectory]:
    """make_study([Trial("complete", 0.9)]) -> the directory of the study `made`, in the working folder."""
    monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
    return partial(report_studies.make_study, in_tmp)


@pytest.fixture(scope="session")
def several_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study with a trial in every state, and class names with HTML characters."""
    root = tmp_path_factory.mktemp("several")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("ZOO_CACHE_DIR", raising=False)
        names = ["<script>alert(1)</script>", "a&b", "<b>bold"]
        report_studies.make_study(root, report_studies.SEVERAL, class_names=names)
        return root / write_report("made")
