"""Fixtures that tests of several folders share."""

from __future__ import annotations

import contextlib
import gc
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
import shared_tools
from hypothesis import HealthCheck, settings
from shared_tools import zoo_script
from warm_command import WarmClient, WarmCommand

# A slow machine must not fail a test, and a failure prints how to reproduce it.
settings.register_profile("zoo", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zoo")

gc.disable()  # until all tests are imported, and with them TensorFlow with a million objects


def pytest_collection_finish():
    """Leave the imported objects out of garbage collection, which would visit them again and again."""
    gc.freeze()
    gc.enable()


_shared = contextlib.ExitStack()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Give each worker of pytest-xdist the process from which commands are forked."""
    if not hasattr(node.config, "warm_command"):
        node.config.warm_command = _shared.enter_context(contextlib.closing(WarmCommand()))
    node.workerinput["warm_command"] = node.config.warm_command.address


def pytest_unconfigure():
    _shared.close()


def pytest_sessionfinish():
    gc.freeze()  # pytest collects garbage five times at the end


@pytest.fixture(scope="session", autouse=True)
def plugin_probes(tmp_path_factory):
    """Keep results of probes out of the user's own cache, and give each probe time on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_PLUGIN_SECONDS", shared_tools.PLUGIN_SECONDS)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def default_sighup():
    """Under nohup, pytest ignores SIGHUP, and the processes that tests start would inherit that."""
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
    """A seed for random tests, different every time; `ZOO_TEST_SEED=…` repeats a failure."""
    number = int(os.environ.get("ZOO_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"ZOO_TEST_SEED={number}")
    return number


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium with an empty profile; skipped with a reason where none is installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("neither Chromium nor chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in (*flags.split(), "disable-component-update", "disable-sync", "window-size=1800,1400"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def open_page(browser):
    """open_page(url, width) opens a page in a window of that width."""

    def open_at(url, width):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(url)
        return browser

    return open_at


def command_in(warm, script, folder, environment):
    """Return a function that runs the installed `zoo` in a folder and returns its CompletedProcess."""

    def run(*arguments, folder=folder, env=None, timeout=240):
        return warm.run([script, *arguments], cwd=folder, env={**environment, **(env or {})}, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def script():
    """The path of the installed command `zoo`; without it, its tests are skipped."""
    found = zoo_script()
    if found is None:
        pytest.skip("the command zoo is not installed")
    return found


@pytest.fixture(scope="session")
def warm_command(request):
    """The process from which commands are forked after its imports; pytest's workers share one."""
    if address := getattr(request.config, "workerinput", {}).get("warm_command"):
        yield WarmClient(address)
        return
    started = WarmCommand()
    yield started
    started.close()


@pytest.fixture
def clean_environment(tmp_path):
    """The environment of this process without settings of zoo, Keras and MLflow, and an empty home."""
    return shared_tools.clean_environment(tmp_path / "home")


@pytest.fixture
def zoo_command(warm_command, script, tmp_path, clean_environment):
    """zoo_command("list", "--json") runs the installed `zoo` in an empty folder."""
    return command_in(warm_command, script, tmp_path, clean_environment)


@pytest.fixture(scope="module")
def zoo_command_of_module(warm_command, script, tmp_path_factory):
    """Like `zoo_command`, with one folder and one home for all tests of a module."""
    folder = tmp_path_factory.mktemp("command")
    return command_in(warm_command, script, folder, shared_tools.clean_environment(folder / "home"))


@pytest.fixture(scope="session")
def pip_install(tmp_path_factory):
    """Install projects with pip into a folder, without a network; the folder is for PYTHONPATH.

    pip_install(Path("tests/plugins/zoo-layered"), …) -> the folder
    """
    pytest.importorskip("pip")
    pytest.importorskip("hatchling")

    def install(*projects):
        site = tmp_path_factory.mktemp("site")
        copies = tmp_path_factory.mktemp("source")  # a build writes beside the source
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
    """Write a plugin distribution into a folder, as pip would; the folder is for PYTHONPATH.

    install_plugin("zoo-resnet", "1.2", "text of the module") -> the folder
    """
    site = tmp_path / "site"

    def install(distribution, version, source, *, module=None, entry_point=None, requires=()):
        module = module or distribution.replace("-", "_")
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        entry_point = entry_point or f"{module.removeprefix('zoo_')} = {module}"
        (info / "entry_points.txt").write_text(f"[zoo]\n{entry_point}\n", encoding="utf-8")
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return site

    return install


@pytest.fixture(scope="session")
def recorded_study(tmp_path_factory):
    """A folder as `zoo tune` leaves it, with a study `example` of scikit-learn's digits.

    Trial 1 is the best complete trial and has its model; trial 0 is complete without a model; trial 2 was
    pruned; trial 3 is running. There is also a standalone run.
    """
    from zoo.data.prepare import prepare
    from zoo.events import Progress
    from zoo.record import MLflowRun, StudyDirectory, epochs_of
    from zoo.registry import Registry
    from zoo.training import backend, training_space
    from zoo.training.job import run_trial
    from zoo.trial import PluginConfig

    backend.disable_import_logs()
    registry = Registry.load([])
    directory = StudyDirectory(tmp_path_factory.mktemp("recorded"), "example")
    validation = {"fraction": 0.2, "seed": 0}
    prepared = prepare(registry.get("dataset", "digits"), {}, validation, directory.cache_dir)
    network = registry.get("architecture", "conv_net").space.check({"filters": (8, 70), "dense_units": ()})
    config = replace(
        shared_tools.CONFIG,
        digest=prepared.digest,
        validation=validation,
        architecture=PluginConfig("conv_net", network),
        training=training_space().check({"epochs": 2, "learning_rate": 0.01}),
    )
    best = directory.trial(1)
    best.create(config.as_json())

    def log(event):
        if not isinstance(event, Progress):
            best.append(event)

    run_trial(config, directory.cache_dir, best.path, log, lambda: True)
    best.delete_checkpoints()  # as the supervisor does
    finished = best.final_event()
    assert finished.state == "complete", finished.reason
    standalone = directory.new_standalone_run(MLflowRun("abc", "standalone-003", 3))
    for other in (directory.trial(0), standalone):  # the same seed gives the same results
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
    """Make the folder of the recorded study `example` the working folder."""
    monkeypatch.chdir(recorded_study)
    monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
    return recorded_study


@pytest.fixture
def keras_in_process(monkeypatch):
    """Call functions on models in this process, which is faster than a worker process."""
    from zoo.evaluation import elsewhere
    from zoo.evaluation import recorded as evaluation
    from zoo.inspection import _datasets
    from zoo.models import exporting, recorded

    def call(function, *arguments, log_path):
        return function(*arguments)

    for module in (recorded, elsewhere, exporting, _datasets):
        monkeypatch.setattr(module, "call_in_worker", call)
    for module in (evaluation, _datasets):
        monkeypatch.setattr(module, "start_loading_keras", lambda: None)
