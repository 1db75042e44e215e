"""What a report reads from the record of a study."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import report_studies
from report_studies import Trial

from zoo.report._record import read_record
from zoo.report._trials import flat_parameters, pruning
from zoo.study import Objective
from zoo.trial import PluginConfig

TRIALS = [Trial("complete", 0.5 + number / 40, summary={"latency_ms": 1.0}) for number in range(12)]
OBJECTIVES = [Objective("val_accuracy", "maximize"), Objective("latency_ms", "minimize")]


def test_importances_are_of_the_first_objective(tmp_path, monkeypatch):
    """Optuna takes lower values for better ones if a study has several objectives."""
    monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
    found = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        monkeypatch.chdir(folder)
        report_studies.make_study(folder, TRIALS, objectives=OBJECTIVES[:count])
        found.append(read_record("made").importances)
    assert found[0] == found[1] != {}


def test_items_of_a_list_are_one_parameter(make_study):
    make_study(TRIALS[:2])
    assert read_record("made").searched[1] == {
        "training.learning_rate": 0.002,
        "net.act": "<b>tanh</b>",
        "net.units": [5],
    }


def test_equal_values_have_no_importances(make_study):
    make_study([Trial("complete", 0.5)] * 12)
    assert read_record("made").importances == {}


def test_pruned_trial_without_epochs_does_not_count():
    """Its event log was lost, but for the final event."""
    lost = SimpleNamespace(shown_state="pruned", epochs=[])
    assert pruning(SimpleNamespace(runs=[lost])) == []


def test_dataset_without_its_groups_is_absent(make_study):
    make_study(TRIALS[:2])
    record = read_record("made")
    assert record.dataset is not None
    config = record.runs[0].config
    grouped = replace(config, validation={**config.validation, "group": "(p)", "group_digest": "0" * 64})
    without = replace(record, runs=[replace(run, config=grouped) for run in record.runs])
    assert without.dataset is None
    assert without.num_validated is None


def test_policy_and_architecture_of_one_name_keep_their_values(make_study):
    make_study(TRIALS[:1])
    run = read_record("made").runs[0]
    net, policy = PluginConfig("wide", {"factor": 2}), PluginConfig("wide", {"factor": 0.1})
    flat = flat_parameters(replace(run, config=replace(run.config, architecture=net, augmentation=policy)))
    assert (flat["wide.factor"], flat["augmentation.wide.factor"]) == (2, 0.1)
