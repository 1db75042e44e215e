"""What `zoo.tune` says before it begins, with a stand-in for the session."""

from __future__ import annotations

import pytest
from tuning_examples import STUDY

from zoo.errors import StudyError
from zoo.tuning import run
from zoo.tuning.display import NoDisplay
from zoo.tuning.record import StudyRecord


class Display(NoDisplay):
    def __init__(self):
        self.problems = []

    def problem(self, text):
        self.problems.append(text)


@pytest.fixture
def tune(registry, tmp_path, monkeypatch):
    """tune("training.epochs=3", jobs=2) -> what the person was warned of."""

    class Session:
        def __init__(self, definition, root, jobs, display):
            self.display = display

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def search_with(self, open_search):
            pass

    def say(*overrides, **keywords):
        display = Display()
        run.tune(str(tmp_path / "example.toml"), overrides=overrides, display=display, **keywords)
        return display.problems

    monkeypatch.setattr(run, "Session", Session)
    monkeypatch.setattr(run.Registry, "load", lambda: registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.toml").write_text(STUDY)
    return say


def test_a_latency_that_is_measured_beside_other_trials_is_warned_of(tune):
    several = 'objective=["val_accuracy", "latency_ms"]'
    assert tune(several, jobs=2) == [
        "with --jobs 2 each network's latency_ms is measured while others train, and says little; "
        "leave --jobs at 1"
    ]
    assert tune(several) == tune(jobs=2) == []


def test_a_study_whose_plugin_is_gone_names_it(tune, tmp_path):
    plugins = {"keras-zoo:architectures": "0.1", "zoo-mixer:mixer": "0.2"}
    StudyRecord(tmp_path, "example").trial(0).begin({"plugins": plugins})
    with pytest.raises(StudyError) as refused:
        tune("architecture.name=mlp_mixer")
    *_, last = str(refused.value).splitlines()
    assert last == "trials of this study used zoo-mixer 0.2; pip install zoo-mixer==0.2"
    with pytest.raises(StudyError) as refused:  # a study that was never begun
        tune("architecture.name=mlp_mixer", name="other")
    assert "zoo-mixer" not in str(refused.value)
