"""A trial that is trained again: with the plugins of today, and the difference is told."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tuning_examples import STUDY

import zoo
from zoo.errors import PluginError
from zoo.trial import PluginConfig
from zoo.tuning import run
from zoo.tuning.record import StudyRecord
from zoo.tuning.run import with_plugins_of_today


@pytest.fixture
def config(define):
    return define().baseline("a" * 64, seed=7)


def test_with_the_same_plugins_it_is_the_same(config, registry):
    assert with_plugins_of_today(3, config, registry) == (config, [])


def test_another_version_is_told(config, registry):
    before = replace(config, plugins=dict.fromkeys(config.plugins, "0.0.9"))
    again, problems = with_plugins_of_today(3, before, registry)
    assert again == config
    assert problems == [
        f"trial 3 was trained with keras-zoo 0.0.9, now it is with keras-zoo {zoo.__version__}"
    ]


def test_a_record_of_an_earlier_version_does_not_say(config, registry):
    before = replace(config, plugins={})
    assert with_plugins_of_today(3, before, registry) == (config, [])


def test_what_is_not_installed_any_more(config, registry):
    gone = replace(config, architecture=PluginConfig("res_net"))
    with pytest.raises(PluginError, match=r"^There is no architecture named 'res_net'\. "):
        with_plugins_of_today(3, gone, registry)


def test_it_has_the_validation_split_of_its_record(config, registry, tmp_path, monkeypatch):
    """Not that which the study file asks for today: its figures would be of other images."""
    opened = []

    class Session:
        def __init__(self, definition, root, jobs, display):
            self.display, self.prepared = display, SimpleNamespace(digest=config.digest)
            opened.append(definition.validation)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def train(self, config, trial):
            opened.append(config.validation)

    monkeypatch.setattr(run, "Session", Session)
    monkeypatch.setattr(run.Registry, "load", lambda: registry)
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "example.toml"
    study.write_text(STUDY + "[validation]\nseed = 7\n")
    StudyRecord(tmp_path, "example").trial(3).begin(config.as_json())
    run.train(str(study), trial=3)
    run.train(str(study))
    recorded, today = {"fraction": 0.1, "seed": 0}, {"fraction": 0.1, "seed": 7}
    assert opened == [recorded, recorded, today, today]
