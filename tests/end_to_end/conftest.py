"""Studies that the installed command ran, each once for all tests that look at it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from end_to_end_studies import FAULTY, GATED
from end_to_end_tools import (
    Gate,
    Running,
    Zoo,
    epochs,
    final_event,
    is_alive,
    until,
)
from shared_tools import clean_environment
from warm_command import WarmClient

PLUGINS = Path(__file__).parents[1] / "plugins"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of these studies, so that `pytest -m "not slow"` leaves them out."""
    for item in items:
        if {"tuned", "faulty", "busy", "on_the_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return clean_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs. Creating its tables takes seconds, so most studies get a copy."""
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
    warm_command: WarmClient,
) -> Callable[..., Zoo]:
    """new_zoo("tiny", tiny=TINY) -> the command in a new folder of that name that has the study `tiny`."""

    def make(name: str, *, database: bool = True, env: dict[str, str] | None = None, **studies: str) -> Zoo:
        folder = tmp_path_factory.mktemp(name)
        (folder / "studies").mkdir()
        for study, text in studies.items():
            (folder / "studies" / f"{study}.toml").write_text(text)
        if database:
            shutil.copyfile(empty_database, folder / "mlflow.db")
        return Zoo(script, folder, {**environment, **(env or {})}, warm_command)

    return make


@pytest.fixture
def zoo(tmp_path: Path, script: str, environment: dict[str, str], warm_command: WarmClient) -> Zoo:
    """The command in an empty folder."""
    return Zoo(script, tmp_path, environment, warm_command)


@pytest.fixture(scope="session")
def tuned(new_zoo: Callable[..., Zoo]) -> SimpleNamespace:
    """The study `digits_cnn` in an empty folder: three trials, the same command again, a fourth trial.

    The first three run two at once, the fourth alone; then `zoo train` trains the fourth again.
    """
    zoo = new_zoo("tuned", database=False)
    arguments = ["tune", "--study", "digits_cnn", "--set", "training.epochs=3"]
    first = zoo.fresh(*arguments, "--trials", 3, "--jobs", 2)
    again = zoo(*arguments, "--trials", 3)
    files_after_again = sorted(path.name for path in (zoo.folder / "mlruns/zoo/digits_cnn/trials").iterdir())
    more = zoo.on_a_terminal(*arguments, "--trials", 4)
    after = zoo.snapshot("digits_cnn")
    trained = zoo("train", "digits_cnn", "--trial", 3)
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
def plugin_site(pip_install: Callable[..., Path]) -> Path:
    """The plugins zoo-faulty and zoo-gated, installed by pip into a folder for PYTHONPATH."""
    return pip_install(PLUGINS / "zoo-faulty", PLUGINS / "zoo-gated")


@pytest.fixture(scope="session")
def gated_zoo(
    new_zoo: Callable[..., Zoo], plugin_site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Zoo, Gate]]:
    """gated_zoo("busy", busy=GATED) -> the command as from `new_zoo`, and the gate of its trainings."""

    def make(name: str, **studies: str) -> tuple[Zoo, Gate]:
        gate = Gate(tmp_path_factory.mktemp("gate") / "epochs")
        return new_zoo(name, env={"PYTHONPATH": str(plugin_site), **gate.environment}, **studies), gate

    return make


@pytest.fixture(scope="session")
def faulty(new_zoo: Callable[..., Zoo], plugin_site: Path) -> SimpleNamespace:
    """A study with every kind of faulty trial, and one in which all trials fail."""
    zoo = new_zoo("faulty", env={"PYTHONPATH": str(plugin_site)}, faulty=FAULTY)
    tune = ("tune", "faulty", "--jobs", "1")  # the order of the failures matters
    every = zoo(*tune)
    options = ["--set", "architecture.how=raises", "--sampler", "random", "--name", "hopeless"]
    hopeless = zoo(*tune, *options)
    return SimpleNamespace(
        zoo=zoo,
        every=every,
        after=zoo.snapshot("faulty"),
        hopeless=hopeless,
        after_hopeless=zoo.snapshot("hopeless"),
    )


@pytest.fixture(scope="session")
def busy(gated_zoo: Callable[..., tuple[Zoo, Gate]]) -> SimpleNamespace:
    """A study of three trials, two at once, that is stopped in every way before it is finished.

    Its trials wait at the gate. A trial is killed, then the supervisor; then come Ctrl-C, Ctrl-C twice and
    SIGTERM; then the gate opens.
    """
    zoo, gate = gated_zoo("busy", busy=GATED)
    command = ("tune", "busy", "--jobs", "2")
    trials = zoo.folder / "mlruns" / "zoo" / "busy" / "trials"
    seen = SimpleNamespace(zoo=zoo, command=command)

    def num_epochs(number: int) -> int:
        return len(epochs(zoo.events("busy", number)))

    def wait_at_gate(supervisor: Running, before: int) -> list[int]:
        """Return the two trials after `before` as soon as both have trained one epoch."""
        numbers = [before + 1, before + 2]
        supervisor.until(lambda: all(map(num_epochs, numbers)), f"the first epochs of {numbers}")
        return numbers

    gate.allow_epochs(1)
    with zoo.running(*command) as supervisor:
        victim_number, other_number = wait_at_gate(supervisor, -1)
        seen.refused = zoo(*command)
        victim = supervisor.trial_process(trials / "000")
        other = supervisor.trial_process(trials / "001")
        seen.maps = [
            {Path(one.path) for one in process.memory_maps() if one.path.endswith(".npy")}
            for process in (victim, other)
        ]
        victim.kill()
        supervisor.until(lambda: final_event(zoo.events("busy", victim_number)), "the end of trial 0")
        supervisor.until(lambda: num_epochs(2), "the first epoch of trial 2")
        gate.allow_epochs(2)
        supervisor.until(lambda: num_epochs(other_number) == 2, "the second epoch of trial 1")
        seen.killed_trial = zoo.events("busy", victim_number)
        family = supervisor.family()
        supervisor.process.kill()
        supervisor.process.wait()
        until(lambda: not any(map(is_alive, family)), what="the end of every process")
        seen.num_processes = len(family)
    seen.after_kill = [trial.state.name for trial in zoo.snapshot("busy").optuna]

    gate.allow_epochs(1)
    with zoo.running(*command) as supervisor:
        numbers = wait_at_gate(supervisor, 2)
        before_signal = supervisor.stderr()
        supervisor.signal(signal.SIGINT)
        seen.ctrl_c = supervisor.done()
        seen.stderr_after_ctrl_c = seen.ctrl_c.stderr.removeprefix(before_signal)
    seen.after_ctrl_c = zoo.snapshot("busy")

    with zoo.running(*command) as supervisor:
        numbers = wait_at_gate(supervisor, numbers[-1])
        with locked_database(zoo.folder / "mlflow.db"):  # so that it cannot end between the two signals
            supervisor.signal(signal.SIGINT)
            supervisor.until(
                lambda: any(final_event(zoo.events("busy", number)) for number in numbers), "the first signal"
            )
            supervisor.signal(signal.SIGINT)
            seen.ctrl_c_twice = supervisor.done()

    with zoo.running(*command) as supervisor:
        wait_at_gate(supervisor, numbers[-1])
        supervisor.signal(signal.SIGTERM)
        seen.sigterm = supervisor.done()
    seen.after_sigterm = zoo.snapshot("busy")

    gate.open()
    seen.last = zoo(*command)
    seen.after = zoo.snapshot("busy")
    return seen


@contextlib.contextmanager
def locked_database(path: Path) -> Iterator[None]:
    """Keep every other process from reading or writing an SQLite database."""
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
