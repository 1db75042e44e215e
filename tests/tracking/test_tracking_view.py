"""The prepared view of a study: its content, and how MLflow's pages show it in a real browser."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.study import Objective
from zoo.tracking import Store, StudySummary, StudyTracker, connect, only_study, study_page
from zoo.tracking._names import is_item
from zoo.tracking._view import view_state

ACCURACY = Objective("val_accuracy", "maximize")
METRICS = ["best_val_accuracy", "loss", "parameters", "val_accuracy"]
SEARCHED = ["training.learning_rate", "net.filters", "training.momentum"]
TRIALS = [
    {"training.learning_rate": "0.1", "net.filters": "[8]", "net.filters.length": "1", "net.filters.1": "8"},
    {"training.learning_rate": "0.2", "training.momentum": "0.9"}
    | {"net.filters": "[16, 4]", "net.filters.length": "2", "net.filters.1": "16", "net.filters.2": "4"},
]


def charts(state: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [chart for chart in state["compareRunCharts"] if chart["type"] == kind]


def test_view_begins_with_curves_of_the_objective() -> None:
    state = view_state([ACCURACY], SEARCHED, TRIALS, METRICS)
    assert state["compareRunCharts"][0]["metricKey"] == "val_accuracy"
    assert state["compareRunSections"][0]["uuid"] == state["compareRunCharts"][0]["metricSectionId"]
    assert [chart["metricKey"] for chart in charts(state, "LINE")] == ["val_accuracy", "loss"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best_val_accuracy`", False)


def test_columns_are_the_searched_parameters() -> None:
    columns = view_state([ACCURACY], [*SEARCHED, "training.never_active"], TRIALS, METRICS)["selectedColumns"]
    assert [name for name in columns if name.startswith("params.")] == [
        f"params.`{name}`" for name in SEARCHED
    ]
    assert {"tags.`zoo.best`", "tags.`zoo.state`", "metrics.`best_val_accuracy`"} <= set(columns)


def test_no_trial_misses_an_axis_of_the_first_parallel_chart() -> None:
    first, second, *others = charts(view_state([ACCURACY], SEARCHED, TRIALS, METRICS), "PARALLEL")
    assert first["selectedParams"] == ["training.learning_rate", "net.filters.length", "net.filters.1"]
    assert second["selectedParams"] == ["training.momentum"]  # net.filters.2 has one value
    assert others == []


def test_minimized_objective_is_sorted_upwards() -> None:
    objectives = [Objective("parameters", "minimize"), ACCURACY]
    state = view_state(objectives, SEARCHED, TRIALS, METRICS)
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`parameters`", True)
    assert "tags.`zoo.front`" in state["selectedColumns"]
    assert charts(state, "PARALLEL")[0]["selectedMetrics"] == ["best_val_accuracy", "parameters"]


def test_study_without_trials_has_a_view() -> None:
    assert charts(view_state([ACCURACY], SEARCHED, [], []), "PARALLEL") == []


def test_items_are_found_by_the_name_of_their_list() -> None:
    found = [is_item(key, "net.filters") for key in ("net.filters.1", "net.filters.length", "net.filters")]
    assert found == [True, True, False]
    assert not is_item("net.filters_2.1", "net.filters")


@pytest.fixture
def study(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> StudyTracker:
    """A study of a pruned and two complete trials; trial 1 is the best."""
    searched = ["conv_net.filters", "training.learning_rate"]
    name = request.node.name.replace("[", "-").strip("]")
    tracker = StudyTracker(store, examples.facts(name, uid=name, searched=searched))
    for number, (rate, best, state) in enumerate(
        [(0.1, 0.8, "complete"), (0.2, 0.9, "complete"), (0.3, 0.5, "pruned")]
    ):
        config = {**CONFIG, "training": {"epochs": 3, "learning_rate": rate}}
        folder = examples.make_folder(tmp_path / f"{number}")
        tracker.record(number, config, examples.events(state, best=best, reason="slow"), folder)
    text = "maximize val_accuracy, dataset digits: 3 trials"
    tracker.record_summary(StudySummary(text, 1, searched=searched[::-1]))
    return tracker


def test_summary_is_recorded(study: StudyTracker) -> None:
    client = study.store.client
    tags = client.get_run(study.run_id).data.tags
    assert tags["mlflow.note.content"] == "maximize val_accuracy, dataset digits: 3 trials"
    assert tags["zoo.searched"] == "training.learning_rate,conv_net.filters"
    assert ["zoo.best" in examples.run_of(study, number).data.tags for number in (0, 1, 2)] == [
        *(False, True, False),
    ]
    value = client.get_experiment(study.experiment_id).tags["mlflow.sharedViewState.zoo"]
    state = json.loads(value)["state"].removeprefix("deflate;")
    assert json.loads(zlib.decompress(base64.b64decode(state)))["orderByKey"] == "metrics.`best_val_accuracy`"


def test_trials_are_described_in_one_line(study: StudyTracker) -> None:
    notes = [examples.run_of(study, number).data.tags["mlflow.note.content"] for number in (1, 2)]
    what = "conv_net.filters 32-64, training.learning_rate"
    assert notes[0] == f"{what} 0.2: val_accuracy 0.9000, parameters 650, epoch 2"
    assert notes[1] == f"{what} 0.3: pruned, slow"


def test_description_of_a_user_stays(study: StudyTracker) -> None:
    study.store.log(study.run_id, tags={"mlflow.note.content": "my search"})
    study.record_summary(StudySummary("maximize val_accuracy, dataset digits: 4 trials", 1))
    tags = study.store.client.get_run(study.run_id).data.tags
    assert tags["mlflow.note.content"] == "my search"


def test_store_that_refuses_the_view_still_has_a_page(study: StudyTracker, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(study.store.client, "set_experiment_tag", refuse)
    page = study_page(study.facts.name, study.store)
    assert "orderByKey=metrics.%60best_val_accuracy%60" in page
    assert "orderByAsc=false" in page


def test_older_mlflow_has_a_page_without_the_view(study: StudyTracker, monkeypatch: Any) -> None:
    assert "viewStateShareKey=zoo" in study_page(study.facts.name, study.store)
    monkeypatch.setattr("zoo.tracking._recorded.version", lambda name: "3.16.1")
    page = study_page(study.facts.name, study.store)
    assert "viewStateShareKey" not in page
    assert "orderByKey=metrics.%60best_val_accuracy%60" in page


def test_only_study_is_found(local_store: Store) -> None:
    assert only_study() is None
    StudyTracker(local_store, examples.facts("first"))
    assert only_study() == "first"
    StudyTracker(local_store, examples.facts("second", uid="other"))
    assert only_study() is None


def test_store_that_does_not_exist_has_no_only_study() -> None:
    assert only_study() is None


@pytest.mark.parametrize("store", ["server"], indirect=True)
def test_browser_shows_the_view(study: StudyTracker, server_address: str, browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    def text_of_page(*expected: str) -> str:
        """Wait until the page has these texts, and return its whole text."""

        def page_text(_: Any) -> str:
            text: str = browser.execute_script("return document.body.innerText")
            return text if all(part in text for part in expected) else ""

        return str(WebDriverWait(browser, 240).until(page_text))

    address = server_address + study_page(study.facts.name, connect(server_address))
    browser.get(address)
    section = "Objective\n("
    text = text_of_page("trial-001", section, "Parallel Coordinates")
    assert text.index("trial-001") < text.index("trial-000") < text.index("trial-002")  # best first
    assert text.index("val_accuracy", text.index(section)) < text.index("Parallel Coordinates")

    browser.get("about:blank")
    browser.get(address.replace("CHART", "TABLE"))
    text = text_of_page("trial-001", "zoo.best", "zoo.state", "training.learning_rate")
    assert "training.epochs" not in text
    assert "0.2" in text
