"""Fixtures: scikit-learn's digits, prepared once, and trials that run in this process."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace

import pytest
from shared_tools import CONFIG
from training_tools import FAULTY

from zoo.data.prepare import prepare
from zoo.events import EpochEnd
from zoo.registry import Plugin, Registry
from zoo.training import backend, job
from zoo.trial import PluginConfig

VALIDATION = {"fraction": 0.2, "seed": 0}

# The smallest network that learns the digits in two epochs.
TRAINING = {"epochs": 2, "batch_size": 64, "optimizer": "adam", "learning_rate": 0.01}
NETWORK = PluginConfig("conv_net", {"filters": (8,), "dense_units": (), "dropout": 0.0})


@pytest.fixture(scope="session")
def keras():
    backend.disable_import_logs()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    return pytest.importorskip("keras")


@pytest.fixture(scope="session")
def registry():
    """The built-in plugins, and the faulty one."""
    registry = Registry.load([])
    spec = importlib.util.spec_from_file_location("zoo_faulty", FAULTY)

    def load():
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    registry.add(Plugin("faulty", "zoo-faulty", "0.3"), load)
    assert registry.problems == []
    return registry


@pytest.fixture(scope="session")
def prepared(registry, tmp_path_factory):
    """The cache folder with the digits, and their PreparedDataset."""
    cache = tmp_path_factory.mktemp("cache")
    for folds in (2, 3):
        prepare(registry.get("dataset", "digits"), {}, {"folds": folds, "seed": 0}, cache)
    return cache, prepare(registry.get("dataset", "digits"), {}, VALIDATION, cache)


@pytest.fixture(scope="session")
def config(prepared):
    """A trial that takes a second or two."""
    return replace(
        CONFIG,
        digest=prepared[1].digest,
        validation=VALIDATION,
        architecture=NETWORK,
        training=TRAINING,
        seed=7,
    )


class TrialRun:
    """The events and the files of a trial that ran."""

    def __init__(self, events, folder):
        self.events = events
        self.folder = folder
        self.final_event = events[-1]
        self.epoch_ends = [event for event in events if isinstance(event, EpochEnd)]
        self.epochs = [event.metrics for event in self.epoch_ends]

    @property
    def files(self):
        """Without checkpoints, which only trials of over two seconds write; the supervisor deletes them."""
        return sorted(path.name for path in self.folder.iterdir() if path.name != job.CHECKPOINTS)

    def metrics_without_seconds(self):
        """Return the metrics of every epoch, except those that depend on the clock."""
        return [{key: value for key, value in one.items() if key != "epoch_seconds"} for one in self.epochs]


@pytest.fixture(scope="session")
def run(keras, prepared, registry, tmp_path_factory):
    """run(config, epochs=3) -> the TrialRun of `config`, which ran in this process.

    `answers(epoch, fold)` is the answer to an epoch.
    """

    def run(config, *, answers=lambda epoch, fold: True, **training):
        folder = tmp_path_factory.mktemp("trial")
        config = replace(config, training={**config.training, **training})
        events = []

        def answer():
            return answers(events[-1].epoch, events[-1].fold or 1)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Registry, "load", lambda: registry)
            job.run_trial(config, prepared[0], folder, events.append, answer)
        return TrialRun(events, folder)

    return run


@pytest.fixture
def installed(install_plugin, monkeypatch):
    """zoo-gained 0.3, with its layers in a module of their own; yields its folder."""
    site = install_plugin(
        "zoo-gained", "0.3", "", module="zoo_gained_entry", entry_point="gained = zoo_gained"
    )
    (site / "zoo_gained").mkdir()
    for name in ("__init__", "layers", "functions"):
        (site / "zoo_gained" / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_gained"]:
        del sys.modules[name]
