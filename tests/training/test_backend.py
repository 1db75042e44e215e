"""Backends of Keras, and the resources of a machine."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
from shared_tools import run_python

from zoo.errors import ZooError
from zoo.training import backend


class TestWorkerEnvironment:
    def test_single_trial_uses_all_cores(self, monkeypatch):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert backend.worker_environment(jobs=1, slot=0, gpus=[]) == {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}

    @pytest.mark.parametrize(("cores", "jobs", "threads"), [(8, 2, "4"), (8, 3, "2"), (2, 5, "1")])
    def test_parallel_trials_share_the_cores(self, monkeypatch, cores, jobs, threads):
        monkeypatch.setattr(backend, "available_cores", lambda: cores)
        environment = backend.worker_environment(jobs=jobs, slot=0, gpus=[])
        assert environment["TF_NUM_INTRAOP_THREADS"] == threads
        assert environment["TF_NUM_INTEROP_THREADS"] == threads
        assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"

    def test_each_slot_gets_the_next_gpu(self):
        assigned = [
            backend.worker_environment(jobs=3, slot=slot, gpus=["4", "6"])["CUDA_VISIBLE_DEVICES"]
            for slot in range(3)
        ]
        assert assigned == ["4", "6", "4"]

    @pytest.mark.parametrize(("jobs", "gpus"), [(1, ["0", "1"]), (2, ["0"]), (2, [])])
    def test_no_gpu_is_hidden_from_a_single_user(self, jobs, gpus, monkeypatch):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert "CUDA_VISIBLE_DEVICES" not in backend.worker_environment(jobs=jobs, slot=0, gpus=gpus)

    @pytest.mark.parametrize("value", ["", "-1", "3"])
    def test_worker_sees_the_gpus_of_the_caller_now(self, value, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)  # the fork server may be older
        environment = backend.worker_environment(jobs=2, slot=1, gpus=backend.visible_gpus())
        assert environment["CUDA_VISIBLE_DEVICES"] == value


class TestVisibleGpus:
    @pytest.mark.parametrize(
        ("value", "gpus"), [("", []), ("-1", []), ("0", ["0"]), ("2, 5", ["2", "5"]), ("GPU-1a", ["GPU-1a"])]
    )
    def test_environment_variable_names_the_gpus(self, monkeypatch, value, gpus):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert backend.visible_gpus() == gpus

    def test_gpus_are_counted_without_initializing_them(self, monkeypatch):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([self / "a", self / "b"]))
        assert backend.visible_gpus() == ["0", "1"]


class TestCheckGpus:
    @pytest.mark.parametrize(
        ("value", "count", "has"),
        [("0", 0, "no NVIDIA GPU"), ("0,1", 1, "only GPU 0"), ("7", 4, "GPUs 0 to 3")],
    )
    def test_gpu_that_does_not_exist_is_refused(self, monkeypatch, tmp_path, value, count, has):
        self.make_gpus(monkeypatch, tmp_path, value, count)
        message = f"this machine has {has}, but CUDA_VISIBLE_DEVICES={value}. Name another GPU"
        with pytest.raises(ZooError, match=message):
            backend.check_gpus()

    @pytest.mark.parametrize(("value", "count"), [("", 0), ("-1", 0), ("0", 1), ("1, 0", 2), ("GPU-1a", 0)])
    def test_other_values_are_accepted(self, monkeypatch, tmp_path, value, count):
        self.make_gpus(monkeypatch, tmp_path, value, count)
        backend.check_gpus()

    def make_gpus(self, monkeypatch, folder, value, count):
        for number in range(count):
            (folder / f"nvidia{number}").touch()
        monkeypatch.setattr(backend, "_GPU_FILES", [(folder, "nvidia[0-9]*")])
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)


def test_available_cores_are_within_the_machine():
    assert 1 <= backend.available_cores() <= (os.cpu_count() or 1)


def test_device_name_without_gpu_is_cpu(keras):
    assert backend.device_name() == "cpu"


def test_quiet_keeps_existing_log_settings(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("GRPC_VERBOSITY", "DEBUG")
    backend.disable_import_logs()
    assert (os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["GRPC_VERBOSITY"]) == ("3", "DEBUG")


def test_keras_is_imported_without_output(monkeypatch, capfd):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(backend.importlib, "import_module", lambda name: os.write(2, b"of native code"))
    backend.import_keras()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("module", ["zoo.training", "zoo.training.job", "zoo.training.worker"])
def test_import_does_not_load_keras(module):
    heavy = "{'keras', 'tensorflow', 'jax', 'torch', 'mlflow', 'optuna', 'pandas', 'matplotlib'}"
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    assert run_python("-c", script).stdout.strip() == "[]"


def test_only_backend_imports_tensorflow():
    package = Path(backend.__file__).parents[1]
    names = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "import tensorflow" in path.read_text() or "from tensorflow" in path.read_text()
    ]
    assert names == ["training/backend.py"]


def test_optional_packages_are_hidden_in_the_block_only(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with backend.without_optional_packages(), pytest.raises(ImportError):
        importlib.import_module("IPython")
    assert "IPython" not in sys.modules
    assert importlib.import_module("IPython").version_info
