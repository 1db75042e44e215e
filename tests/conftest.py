"""What tests of several folders share."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no failure; and a failure prints what it takes to see it again.
settings.register_profile("zoo", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zoo")


@pytest.fixture(scope="session", autouse=True)
def no_trace_at_home(tmp_path_factory):
    """What zoo remembers of the plugins that tests make up stays out of the home of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def hears_a_closed_terminal():
    """What tests start would inherit it, were pytest itself started with nohup, which ignores that signal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def seed():
    """A seed for random tests, different every time; ZOO_TEST_SEED=… gives a failure's one again."""
    number = int(os.environ.get("ZOO_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"ZOO_TEST_SEED={number}")
    return number


def environment_in(folder):
    """This process's environment without what steers zoo, Keras and MLflow; home is an empty folder."""
    steers = ("ZOO_", "MLFLOW_", "KERAS_", "PYTHONPATH", "COLUMNS", "FORCE_COLOR", "CLICOLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steers)}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {**kept, "HOME": str(home), "COLUMNS": "200"}


def command_in(folder, environment):
    script = shutil.which("zoo", path=str(Path(sys.executable).parent)) or shutil.which("zoo")
    if script is None:
        pytest.skip("the command zoo is not installed")

    def run(*arguments, folder=folder, env=None, timeout=120):
        return subprocess.run(
            [script, *map(str, arguments)],
            cwd=folder,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def clean_environment(tmp_path):
    """This process's environment without what steers zoo, Keras and MLflow; home is an empty folder."""
    return environment_in(tmp_path)


@pytest.fixture
def zoo_command(tmp_path, clean_environment):
    """Runs the installed `zoo` in a folder and gives back returncode, stdout and stderr."""
    return command_in(tmp_path, clean_environment)


@pytest.fixture(scope="module")
def zoo_command_of_module(tmp_path_factory):
    """As `zoo_command`, in one folder and with one home for all tests of a module."""
    folder = tmp_path_factory.mktemp("command")
    return command_in(folder, environment_in(folder))


@pytest.fixture(scope="session")
def pip_install(tmp_path_factory):
    """Has pip install projects into a folder, without a network; give the folder as PYTHONPATH.

    pip_install(Path("tests/plugins/zoo-layered"), …) -> the folder
    """
    pytest.importorskip("pip")
    pytest.importorskip("hatchling")

    def install(*projects):
        site = tmp_path_factory.mktemp("site")
        copies = tmp_path_factory.mktemp("source")  # a build leaves things beside the source
        for project in projects:
            shutil.copytree(project, copies / project.name)
        options = [
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            "--disable-pip-version-check",
        ]
        sources = [str(copies / project.name) for project in projects]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "--target", str(site), *sources], check=True
        )
        return site

    return install


@pytest.fixture
def install_plugin(tmp_path):
    """Puts a plugin distribution into a folder, as pip would; give the folder as PYTHONPATH.

    install_plugin("zoo-resnet", "1.2", "text of the module") -> the folder
    """
    site = tmp_path / "site"

    def install(distribution, version, source, *, module=None, entry_point=None, requires=()):
        module = module or distribution.replace("-", "_")
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        named = entry_point or f"{module.removeprefix('zoo_')} = {module}"
        (info / "entry_points.txt").write_text(f"[zoo]\n{named}\n", encoding="utf-8")
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return site

    return install


@pytest.fixture(scope="session")
def recorded_study(tmp_path_factory):
    """A folder in which `zoo tune` might have run: a study `example` of scikit-learn's digits.

    Trial 1 is the best complete trial and has its model; trial 0 is complete without a model; trial 2 was
    pruned; trial 3 is running; and there is a standalone run.
    """
    from zoo.data.prepare import prepare
    from zoo.events import Progress
    from zoo.record import MLflowRun, StudyDirectory, epochs_of
    from zoo.registry import Registry
    from zoo.training import backend, training_space
    from zoo.training.job import run_trial
    from zoo.trial import PluginConfig, TrialConfig

    backend.disable_start_logs()
    registry = Registry.load([])
    directory = StudyDirectory(tmp_path_factory.mktemp("recorded"), "example")
    validation = {"fraction": 0.2, "seed": 0}
    prepared = prepare(registry.get("dataset", "digits"), {}, validation, directory.cache_dir)
    network = registry.get("architecture", "conv_net").space.check({"filters": (8, 70), "dense_units": ()})
    config = TrialConfig(
        dataset=PluginConfig("digits"),
        digest=prepared.digest,
        validation=validation,
        architecture=PluginConfig("conv_net", network),
        augmentation=PluginConfig("none"),
        training=training_space().check({"epochs": 2, "learning_rate": 0.01}),
        objective="val_accuracy",
        direction="maximize",
        seed=0,
    )
    best = directory.trial(1)
    best.create(config.as_json())

    def log(event):
        if not isinstance(event, Progress):
            best.append(event)

    run_trial(config, directory.cache_dir, best.path, log, lambda: True)
    finished = best.finished()
    assert finished.state == "complete", finished.reason
    standalone = directory.new_standalone_run(MLflowRun("abc", "standalone-003", 3))
    for other in (directory.trial(0), standalone):  # as the same seed would give them
        shutil.copytree(best.path, other.path)
    (standalone.path / "run.json").write_text('{"uid": "abc", "name": "standalone-003", "number": 3}')
    (directory.path / "uid").write_text("5f0c", encoding="utf-8")
    directory.trial(0).delete_copies()
    worse = {**finished.summary, "best_val_accuracy": 0.1}
    _rewrite_events(directory.trial(0), [*best.events()[:-1], replace(finished, summary=worse)])
    pruned = replace(finished, state="pruned", reason="pruned after epoch 1")
    for number, end in ((2, [pruned]), (3, [])):
        directory.trial(number).create(config.as_json())
        first = [event for event in epochs_of(best.events()) if event.epoch == 1]
        _rewrite_events(directory.trial(number), [*first, *end])
    return directory.path.parents[2]


def _rewrite_events(trial, events):
    trial.event_log.path.unlink(missing_ok=True)
    for event in events:
        trial.append(event)


@pytest.fixture
def in_study(recorded_study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is that of the recorded study `example`."""
    monkeypatch.chdir(recorded_study)
    monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
    return recorded_study


@pytest.fixture
def keras_in_process(monkeypatch):
    """Call functions on models in this process, which is faster than a worker process."""
    from zoo import evaluation
    from zoo.inspection import _datasets
    from zoo.models import recorded

    def call(function, *arguments, log_path):
        return function(*arguments)

    for module in (recorded, _datasets):
        monkeypatch.setattr(module, "call_in_worker", call)
    for module in (evaluation, _datasets):
        monkeypatch.setattr(module, "start_loading_keras", lambda: None)
