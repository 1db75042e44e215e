"""Studies that were really run by the installed command, once for all tests that look at them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from end_to_end_studies import BUSY, FAULTY
from end_to_end_tools import Running, Zoo, clean_environment, epochs, final_event, is_alive, until, zoo_script

PLUGIN = Path(__file__).parents[1] / "plugins" / "zoo-faulty"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -m "not slow"` leaves out what looks at a study that was really run."""
    for item in items:
        if {"tuned", "faulty", "busy", "on_the_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def script() -> str:
    found = zoo_script()
    if found is None:
        pytest.skip("the command zoo is not installed")
    return found


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return clean_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without a run; making its tables takes seconds, so most studies get a copy."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments(max_results=1)
    return path


@pytest.fixture(scope="session")
def new_zoo(
    tmp_path_factory: pytest.TempPathFactory,
    script: str,
    environment: dict[str, str],
    empty_database: Path,
) -> Callable[..., Zoo]:
    """new_zoo("busy", busy=BUSY) -> the command in a folder of that name with that study in it."""

    def make(name: str, *, database: bool = True, env: dict[str, str] | None = None, **studies: str) -> Zoo:
        folder = tmp_path_factory.mktemp(name)
        (folder / "studies").mkdir()
        for study, text in studies.items():
            (folder / "studies" / f"{study}.toml").write_text(text)
        if database:
            shutil.copyfile(empty_database, folder / "mlflow.db")
        return Zoo(script, folder, {**environment, **(env or {})})

    return make


@pytest.fixture
def zoo(tmp_path: Path, script: str, environment: dict[str, str]) -> Zoo:
    """The command in an empty folder."""
    return Zoo(script, tmp_path, environment)


@pytest.fixture(scope="session")
def tuned(new_zoo: Callable[..., Zoo]) -> SimpleNamespace:
    """`digits_cnn`, as a newcomer tunes it: three trials two at once, the same again, then a fourth alone.

    Then its last trial is trained again. All in a folder with nothing in it.
    """
    zoo = new_zoo("tuned", database=False)
    arguments = ["tune", "--study", "digits_cnn", "--set", "training.epochs=3"]
    first = zoo(*arguments, "--trials", 3, "--jobs", 2)
    again = zoo(*arguments, "--trials", 3)
    files_after_again = sorted(path.name for path in (zoo.folder / "mlruns/zoo/digits_cnn/trials").iterdir())
    more = zoo.on_a_terminal(*arguments, "--trials", 4)
    after = zoo.snapshot("digits_cnn")
    trained = zoo("train", "--study", "digits_cnn", "--trial", 3)
    return SimpleNamespace(
        zoo=zoo,
        first=first,
        again=again,
        trials_after_again=files_after_again,
        more=more,
        after=after,
        trained=trained,
        study="digits_cnn",
    )


@pytest.fixture(scope="session")
def faulty_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin zoo-faulty, really installed, into a folder for PYTHONPATH."""
    pytest.importorskip("pip")
    pytest.importorskip("hatchling")
    site = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "zoo-faulty"
    shutil.copytree(PLUGIN, source)  # a build leaves things beside the source
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(source)], check=True
    )
    return site


@pytest.fixture(scope="session")
def faulty(new_zoo: Callable[..., Zoo], faulty_site: Path) -> SimpleNamespace:
    """A study of every way to go wrong, and one in which all go wrong."""
    zoo = new_zoo("faulty", env={"PYTHONPATH": str(faulty_site)}, faulty=FAULTY)
    every = zoo("tune", "--study", "faulty")
    options = ["--set", "architecture.how=raises", "--sampler", "random", "--name", "hopeless"]
    hopeless = zoo("tune", "--study", "faulty", *options)
    return SimpleNamespace(
        zoo=zoo,
        every=every,
        after=zoo.snapshot("faulty"),
        hopeless=hopeless,
        after_hopeless=zoo.snapshot("hopeless"),
    )


@pytest.fixture(scope="session")
def busy(new_zoo: Callable[..., Zoo]) -> SimpleNamespace:
    """A study that was interrupted in every way before it came to its end.

    A trial is killed, then the supervisor; then it gets Ctrl-C, Ctrl-C twice, SIGTERM; then it ends.
    """
    zoo = new_zoo("busy", busy=BUSY)
    command = ("tune", "--study", "busy", "--jobs", "2")
    trials = zoo.folder / "mlruns" / "zoo" / "busy" / "trials"
    seen = SimpleNamespace(zoo=zoo, command=command)

    def newest() -> int:
        return max(int(folder.name) for folder in trials.iterdir())

    def in_training(*numbers: int) -> Callable[[], bool]:
        return lambda: all(epochs(zoo.events("busy", number)) for number in numbers)

    def next_in_training(supervisor: Running, before: int) -> list[int]:
        """The two trials of a run that has just begun, as soon as one has an epoch behind it."""
        numbers = [before + 1, before + 2]
        supervisor.until(
            lambda: any(in_training(number)() for number in numbers), "an epoch of the next trial"
        )
        supervisor.until(lambda: newest() == before + 2, "two more trials")
        return numbers

    with zoo.running(*command) as supervisor:
        lock = zoo.folder / "mlruns" / "zoo" / "busy" / "lock-owner"
        supervisor.until(lambda: lock.exists() and lock.read_text(), "it locks the study")
        seen.refused = zoo(*command)
        supervisor.until(in_training(0, 1), "the first epochs of trials 0 and 1")
        victim = supervisor.trial_process(trials / "000")
        other = supervisor.trial_process(trials / "001")
        seen.maps = [
            {Path(one.path) for one in process.memory_maps() if one.path.endswith(".npy")}
            for process in (victim, other)
        ]
        before = len(zoo.events("busy", 1))
        victim.kill()
        supervisor.until(lambda: final_event(zoo.events("busy", 0)), "the end of trial 0")
        supervisor.until(lambda: len(zoo.events("busy", 1)) > before, "trial 1 goes on")
        supervisor.until(in_training(2), "the first epoch of trial 2")
        seen.killed_trial = zoo.events("busy", 0)
        family = supervisor.family()
        supervisor.process.kill()
        supervisor.process.wait()
        killed = time.monotonic()
        until(lambda: not any(map(is_alive, family)), seconds=30, what="the end of every process")
        seen.seconds_to_die = time.monotonic() - killed
        seen.family = len(family)
    seen.after_kill = [trial.state.name for trial in zoo.snapshot("busy").optuna]

    before = newest()
    with zoo.running(*command) as supervisor:
        next_in_training(supervisor, before)
        said = supervisor.stderr()
        supervisor.signal(signal.SIGINT)
        seen.ctrl_c = supervisor.done()
        seen.said_after_ctrl_c = seen.ctrl_c.stderr.removeprefix(said)
    seen.after_ctrl_c = zoo.snapshot("busy")

    before = newest()
    with zoo.running(*command) as supervisor:
        numbers = next_in_training(supervisor, before)
        supervisor.signal(signal.SIGINT)
        until(
            lambda: any(final_event(zoo.events("busy", number)) for number in numbers),
            what="the first signal",
        )
        if supervisor.process.poll() is None:
            supervisor.signal(signal.SIGINT)
        seen.ctrl_c_twice = supervisor.done(10)

    before = newest()
    with zoo.running(*command) as supervisor:
        next_in_training(supervisor, before)
        supervisor.signal(signal.SIGTERM)
        seen.sigterm = supervisor.done()
    seen.after_sigterm = zoo.snapshot("busy")

    seen.last = zoo(*command)
    seen.after = zoo.snapshot("busy")
    return seen
