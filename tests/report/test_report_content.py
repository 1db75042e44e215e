"""The content of a report: every kind of study, and what is missing or unusual."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
from types import SimpleNamespace

import pytest
from report_studies import MANIFEST, SEVERAL, Trial

from zoo.checksums import parse_json, write_json
from zoo.data.quality import OBJECTIVE, WEIGHTS
from zoo.errors import StudyError, ZooError
from zoo.events import EpochEnd
from zoo.report import write_report
from zoo.report._page import _breakable
from zoo.report._search_plots import curve
from zoo.study import Objective


@pytest.fixture
def text_of(make_study):
    """text_of(trials, …) -> the text of the report of these trials."""

    def write(*arguments, **options):
        make_study(*arguments, **options)
        return plain(write_report("made"))

    return write


@pytest.fixture(scope="module")
def several(several_report):
    """The text of the report of the trials `SEVERAL`."""
    return plain(several_report)


def plain(path):
    """Return the text of a page without scripts, styles and tags."""
    page = path.read_text(encoding="utf-8")
    page = re.sub(r"<wbr>|<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_report_has_every_section(several):
    for heading in (
        *("Result", "How certain is it?", "Best model: trial 0", "Confusion matrix", "Calibration"),
        *("Most confident mistakes", "History of val_accuracy", "Learning curves", "Timeline"),
        *("Parallel coordinates", "What pruning saved", "Trials", "Data"),
        *("Reproduce", "Manifest", "Study file"),
    ):
        assert heading in several


def test_states_are_counted(several):
    assert "2 complete, 1 pruned, 1 rejected, 1 failed, 1 interrupted, 1 running" in several


def test_test_accuracy_has_wilson_interval(several):
    # 21 of 24 images: statsmodels.stats.proportion.proportion_confint(21, 24, method="wilson")
    assert "95 % interval 69.00 – 95.66 %, from 24 images" in several


def test_pruning_savings_are_stated(several):
    assert "1 trial was pruned after 2 epochs in total." in several
    assert "at most 3 epochs (60 % of their epochs), about 6 s" in several


def test_commands_reproduce_the_study(several):
    for command in (
        "pip install keras-zoo==0.1.0 zoo-tiny==1.2",
        "zoo tune made --trials 9",
        "zoo train made --trial 0",
    ):
        assert command in several


def test_python_call_is_shown_as_command(make_study):
    directory = make_study([Trial("complete", 0.9)])
    (directory.path / "commands").unlink()
    directory.describe('dataset = "tiny"\n# --set training.epochs=3', "zoo.tune")
    assert "zoo tune made --trials 1 --set training.epochs=3" in plain(write_report("made"))


def test_plugin_file_is_named_by_its_copy(make_study, monkeypatch):
    monkeypatch.setitem(MANIFEST["plugins"], "own.py", "5697ab")
    directory = make_study([Trial("complete", 0.9)])
    path = directory.trial(0).path / "config.json"
    config = {**parse_json(path.read_bytes()), "plugins": {"keras-zoo:builtin": "1", "own.py:own": "5697ab"}}
    write_json(path, config)
    copy = "mlruns/zoo/made/plugins/5697ab/own.py"
    page = plain(write_report("made"))
    assert f"zoo train made --trial 0 --plugin {copy}" in page
    assert f"zoo evaluate made --trial 0 --plugin {copy}" in page
    assert "own.py==" not in page
    directory.describe('plugins = ["own.py"]\ndataset = "tiny"', "zoo tune made --trials 9")
    page = plain(write_report("made"))
    assert f"zoo train made --trial 0 --plugin {copy}" not in page
    assert f"a copy of the plugin file that the study used {copy}" in page


def test_warning_has_no_advice_that_the_study_follows(make_study):
    warning = f"made up, 9 to 1. {WEIGHTS} and {OBJECTIVE} give every class the same weight."
    followed = Objective("val_balanced_accuracy", "maximize")
    make_study([Trial("complete", 0.9)], objectives=[followed], in_optuna=False, warning=warning)
    page = html.unescape(plain(write_report("made")))
    assert f"made up, 9 to 1. {WEIGHTS} gives every class the same weight." in page


def test_names_and_reasons_are_escaped(several_report):
    page = several_report.read_text(encoding="utf-8")
    for text in ("<script>alert", "<img src=x>", "<b>tanh", "<study>"):
        assert text not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "# &lt;study&gt;" in page


def test_study_without_complete_trial_has_a_report(text_of):
    text = text_of([Trial("running", 0.4, epochs=1), Trial("failed", epochs=0, reason="killed")])
    assert "No trial is complete yet" in text
    assert "Learning curves" in text
    assert "Best model" not in text


def test_study_with_one_trial_has_a_report(text_of):
    assert "Best model: trial 0" in text_of([Trial("complete", 0.9)])


@pytest.mark.parametrize(("count", "has_importances"), [(9, False), (10, True)])
def test_importances_need_ten_trials(text_of, count, has_importances):
    text = text_of([Trial("complete", 0.5 + number / 40) for number in range(count)])
    assert ("Importance of the parameters" in text) == has_importances


def test_axis_of_one_trial_is_around_its_value(make_study):
    make_study([Trial("complete", 0.5)])
    plots = re.findall(
        r'<script type="application/json">(.*?)</script>', write_report("made").read_text("utf-8")
    )
    history = next(plot for plot in map(json.loads, plots) if "trial" in str(plot["layout"].get("xaxis")))
    assert history["layout"]["yaxis"]["range"] == pytest.approx([0.45, 0.55])


def test_probability_of_a_mistake_does_not_wrap(several_report):
    page = several_report.read_text("utf-8")
    assert ".mistakes span { white-space: nowrap; }" in page
    assert re.search(r"</em> <span>\d+ %</span></figcaption>", page)


def test_two_objectives_have_a_front(text_of):
    objectives = [Objective("val_accuracy", "maximize"), Objective("latency_ms", "minimize")]
    trials = [Trial("complete", value, summary={"latency_ms": 10 * value}) for value in (0.9, 0.7, 0.8)]
    text = text_of(trials, objectives=objectives)
    for heading in (
        "Pareto front",
        "History of val_accuracy",
        "History of latency_ms",
        "first objective: trial 0",
    ):
        assert heading in text
    assert text.count("complete ★") == 3  # in the leaderboard: each is best in one way


def test_study_without_optuna_has_no_search_figures(text_of):
    text = text_of(SEVERAL, in_optuna=False)
    assert "the Optuna storage has no study 'made'. Figures of the search are missing." in text
    assert "Confusion matrix" in text
    assert "History" not in text


def test_missing_test_scores_are_stated(make_study):
    events = make_study([Trial("complete", 0.9)]).trial(0).event_log.path
    events.write_text("".join(events.read_text().splitlines(keepends=True)[:-1]))
    assert "not scored on the test split yet: zoo evaluate made" in plain(write_report("made"))


def test_missing_predictions_name_the_command(make_study):
    make_study(SEVERAL).trial(0).predictions_path.unlink()
    assert "zoo inspect confusion made --trial 0" in plain(write_report("made"))


def test_missing_dataset_is_stated(make_study):
    shutil.rmtree(make_study(SEVERAL).cache_dir)
    assert "The dataset is not in the cache any more" in plain(write_report("made"))


def test_deleted_trial_is_excluded(make_study):
    make_study(SEVERAL).set_deleted_trials([0])
    text = plain(write_report("made"))
    assert "Best model: trial 1" in text
    assert "1 complete" in text


def test_writing_changes_nothing_else(make_study, in_tmp):
    directory = make_study(SEVERAL)
    before = contents(in_tmp)
    write_report("made")
    after = contents(in_tmp)
    assert after.pop(directory.path / "report.html")
    after.pop(directory.path.parent / ".optuna.lock", None)
    assert after == before


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


def test_plotly_is_inlined_once(several_report):
    page = several_report.read_text(encoding="utf-8")
    assert page.count("plotly.js v") == 1
    assert not re.search(r"<(link|script|img)[^>]+(src|href)=.https?:", page)


def test_unknown_study_is_an_error(in_tmp):
    with pytest.raises(StudyError, match="there is no trial of 'made'"):
        write_report("made")


def test_missing_parts_are_also_reported(make_study):
    make_study([Trial("complete", 0.9)], in_optuna=False)
    problems = []
    write_report("made", on_problem=problems.append)
    assert problems == ["the Optuna storage has no study 'made'. Figures of the search are missing."]


def test_given_storage_without_the_study_is_an_error(make_study, in_tmp):
    make_study([Trial("complete", 0.9)])
    with pytest.raises(ZooError, match="the Optuna storage has no study 'made'"):
        write_report("made", storage=f"sqlite:///{in_tmp}/other.db")


def test_unwritable_file_is_an_error(make_study, in_tmp):
    make_study(SEVERAL)
    (in_tmp / "file").write_text("")
    with pytest.raises(ZooError, match=r"^--output .*: cannot be written \(Not a directory\)"):
        write_report("made", in_tmp / "file" / "report.html")


def test_curve_of_folds_is_their_mean():
    epochs = [
        EpochEnd(1.0, epoch, {"val_accuracy": value}, fold)
        for fold, epoch, value in ((1, 1, 0.5), (1, 2, 0.7), (2, 1, 0.7), (2, 2, 0.9), (2, 3, 0.95))
    ]
    values = curve(SimpleNamespace(epochs=epochs), "val_accuracy")
    assert values == pytest.approx({1: 0.6, 2: 0.8, 3: 0.95})


def test_timeline_names_the_states_that_users_see(make_study, in_tmp):
    make_study(SEVERAL)
    page = write_report("made").read_text(encoding="utf-8")
    for state in ("complete", "pruned", "rejected", "failed", "interrupted", "running"):
        assert f'"name":"{state}"' in page


def test_name_is_broken_between_its_words():
    assert _breakable("net.filters_per_<b>") == "net.<wbr>filters_<wbr>per_<wbr>&lt;b&gt;"


@pytest.mark.parametrize("num_damaged", [11, 12])
def test_lost_final_events_leave_no_parameter_figures(make_study, num_damaged):
    """Optuna has the results of all trials, but the event logs count."""
    directory = make_study([Trial("complete", 0.5 + number / 40) for number in range(12)])
    for number in range(num_damaged):
        log = directory.trial(number).event_log.path
        lines = log.read_text().splitlines()
        log.write_text("".join("null\n" if '"finished"' in line else f"{line}\n" for line in lines))
    text = plain(write_report("made"))
    assert "Importance of the parameters" not in text
    assert "Parallel coordinates" not in text
