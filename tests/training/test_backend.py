"""What differs between Keras's backends and machines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.training import backend


class TestAChildsEnvironment:
    def test_of_one_trial_at_a_time_leaves_the_cores_to_it(self):
        assert backend.child_environment(jobs=1, slot=0, gpus=[]) == {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}

    @pytest.mark.parametrize(("cores", "jobs", "threads"), [(8, 2, "4"), (8, 3, "2"), (2, 5, "1")])
    def test_of_several_is_a_fair_share_of_the_cores(self, monkeypatch, cores, jobs, threads):
        monkeypatch.setattr(backend, "available_cores", lambda: cores)
        environment = backend.child_environment(jobs=jobs, slot=0, gpus=[])
        assert environment["TF_NUM_INTRAOP_THREADS"] == threads
        assert environment["TF_NUM_INTEROP_THREADS"] == threads
        assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"

    def test_gpus_are_dealt_in_turn(self):
        dealt = [
            backend.child_environment(jobs=3, slot=slot, gpus=["4", "6"])["CUDA_VISIBLE_DEVICES"]
            for slot in range(3)
        ]
        assert dealt == ["4", "6", "4"]

    @pytest.mark.parametrize(("jobs", "gpus"), [(1, ["0", "1"]), (2, ["0"]), (2, [])])
    def test_where_there_is_nothing_to_deal_nothing_is_hidden(self, jobs, gpus):
        assert "CUDA_VISIBLE_DEVICES" not in backend.child_environment(jobs=jobs, slot=0, gpus=gpus)


class TestVisibleGpus:
    @pytest.mark.parametrize(
        ("chosen", "gpus"), [("", []), ("-1", []), ("0", ["0"]), ("2, 5", ["2", "5"]), ("GPU-1a", ["GPU-1a"])]
    )
    def test_are_those_that_the_environment_names(self, monkeypatch, chosen, gpus):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert backend.visible_gpus() == gpus

    def test_are_counted_without_touching_them(self, monkeypatch):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([self / "a", self / "b"]))
        assert backend.visible_gpus() == ["0", "1"]


def test_cores_are_those_this_process_may_use():
    assert 1 <= backend.available_cores() <= (os.cpu_count() or 1)


def test_the_device_is_named(keras):
    assert backend.device_name() == "cpu"


def test_the_backend_is_kept_quiet_unless_somebody_wants_to_hear_it(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("GRPC_VERBOSITY", "DEBUG")
    backend.quiet()
    assert (os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["GRPC_VERBOSITY"]) == ("3", "DEBUG")


@pytest.mark.parametrize("module", ["zoo.training", "zoo.training.job", "zoo.training.child"])
def test_importing_it_loads_no_keras(module):
    heavy = "{'keras', 'tensorflow', 'jax', 'torch', 'mlflow', 'optuna', 'pandas', 'matplotlib'}"
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_module_names_tensorflow():
    package = Path(backend.__file__).parents[1]
    naming = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "import tensorflow" in path.read_text() or "from tensorflow" in path.read_text()
    ]
    assert naming == ["training/backend.py"]
