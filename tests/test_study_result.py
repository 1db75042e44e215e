"""The result of `zoo.tune`: its report, its model, its figures, and how a notebook displays it."""

from __future__ import annotations

import inspect

import pytest

import zoo
from zoo import results
from zoo.errors import StudyError
from zoo.results import StudyResult
from zoo.tuning import TuneResult

FACTS = {"objective": "val_accuracy", "best": (1, 0.5), "done": 4, "total": 4, "test_metrics": {}}


@pytest.fixture
def result(in_study):
    return StudyResult("example", **FACTS)


def test_tune_writes_a_report_and_keeps_the_result(monkeypatch):
    calls = []

    def run(study, *, storage=None, write_report=None):
        calls.append((study, write_report))
        return TuneResult(study, **FACTS)

    tune = results._with_report(run)
    assert tune("example", storage="url") == StudyResult("example", **FACTS, storage="url")
    assert tune("example", write_report=None).storage is None
    assert calls == [("example", results._write_report), ("example", None)]


def test_tune_has_the_signature_of_its_function():
    assert zoo.tune is results.tune
    assert list(inspect.signature(zoo.tune).parameters)[:3] == ["study", "dataset", "trials"]


def test_report_is_written_and_linked(result, in_study, tmp_path):
    report = result.report(tmp_path / "page.html")
    assert report.path.stat().st_size > 1_000_000
    assert 'page.html" target="_blank">' in report._repr_html_()


def test_best_model_is_that_of_the_best_trial(result):
    assert result.best_model().output_shape == (None, 10)


def test_result_without_complete_trial_has_no_model(in_tmp):
    with pytest.raises(StudyError, match="no trial of 'example' is complete"):
        StudyResult("example", **{**FACTS, "best": None}).best_model()


def test_unknown_importances_are_an_error(result):
    with pytest.raises(StudyError, match="the importances of 'example' are unknown: expected at least 10 "):
        result.plot_importances()


def test_notebook_shows_numbers_curves_and_trials(result):
    html = result._repr_html_()
    assert "Best val_accuracy <b>" in html
    assert html.count("<svg") == 2
    assert html.count("<tr>") == 1 + 4


def test_removed_record_is_stated(in_tmp):
    assert "there is no trial of 'gone'" in StudyResult("gone", **FACTS)._repr_html_()


def test_password_of_the_storage_is_not_shown():
    assert "secret" not in repr(StudyResult("example", **FACTS, storage="postgresql://ada:secret@host/db"))
