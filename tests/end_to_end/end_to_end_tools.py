"""The installed command in its own folder, and the contents of Optuna and MLflow afterwards."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from warm_command import WarmClient

from zoo.events import EpochEnd, Event, EventLog, Finished
from zoo.files import write_atomically


def until(condition: Callable[[], Any], seconds: float = 240.0, what: str = "") -> Any:
    """Return the first true value of `condition`; raise AssertionError after `seconds`.

    The limit only ends a test that would hang. It is generous, since a busy machine is slow.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what or condition}"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that are errors."""
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


def _done(process: subprocess.CompletedProcess[str]) -> Done:
    return Done(process.returncode, process.stdout, process.stderr)


@dataclass
class Zoo:
    """The command `zoo` in one folder."""

    script: str
    folder: Path
    environment: Mapping[str, str]
    warm: WarmClient

    def __call__(
        self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 240.0
    ) -> Done:
        """Run it in a process that has its imports already, and wait for its end."""
        return _done(self.warm.run(self._command(arguments), **self._options(env, timeout)))

    def fresh(
        self, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 240.0, **options: Any
    ) -> Done:
        """Run it like a terminal does, in a new process, and wait for its end."""
        options |= {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
        return _done(subprocess.run(self._command(arguments), **options, **self._options(env, timeout)))

    def python(self, program: str, *arguments: object, **environment: str) -> Done:
        """Run a Python program in its folder, in a process that has its imports already."""
        options = self._options(environment, 240.0)
        return _done(self.warm.run([sys.executable, "-c", program, *arguments], **options))

    def _command(self, arguments: tuple[object, ...]) -> list[str]:
        return [self.script, *map(str, arguments)]

    def _options(self, env: Mapping[str, str] | None, timeout: float) -> dict[str, Any]:
        return {"cwd": self.folder, "env": {**self.environment, **(env or {})}, "timeout": timeout}

    @contextlib.contextmanager
    def running(self, *arguments: object, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """Start it; at the end of the block, kill it if it still runs."""
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            process = subprocess.Popen(
                [self.script, *map(str, arguments)],
                cwd=self.folder,
                env={**self.environment, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # a signal to it is not one to the tests
            )
            running = Running(process, stdout, stderr)
            try:
                yield running
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()

    def on_a_terminal(self, *arguments: object) -> Done:
        """Run it with a terminal as stdin and stderr; the result's `stderr` is what the terminal received."""
        ours, theirs = pty.openpty()
        drawn: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(OSError):  # the other end is closed
                while part := os.read(ours, 65536):
                    drawn.append(part)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            process = self.warm.run(self._command(arguments), terminal=theirs, **self._options(None, 240.0))
        finally:
            os.close(theirs)
            reader.join(timeout=240)
            os.close(ours)
        return Done(process.returncode, process.stdout, b"".join(drawn).decode())

    def events(self, study: str, trial: int) -> list[Event]:
        """Return the events that a trial has logged so far."""
        return read_events(self.folder / "mlruns" / "zoo" / study / "trials" / f"{trial:03d}")

    def snapshot(self, study: str) -> Snapshot:
        return snapshot(self.folder, study)


class Running:
    """A running command."""

    def __init__(self, process: subprocess.Popen[Any], stdout: Any, stderr: Any) -> None:
        self.process = process
        self._stdout, self._stderr = stdout, stderr

    def family(self) -> list[psutil.Process]:
        """Return its child processes, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def trial_process(self, folder: Path) -> psutil.Process:
        """Return the worker process of a trial: the one that writes the trial's log."""
        log = str(folder / "output.log")

        def found() -> psutil.Process | None:
            for process in self.family():
                with contextlib.suppress(psutil.Error):
                    if log in [file.path for file in process.open_files()]:
                        return process
            return None

        return self.until(found, f"a process that writes {log}")

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Like the function `until`; an AssertionError with the command's stderr if it ends first."""
        until(lambda: condition() or self.process.poll() is not None, what=what)
        found = condition()
        assert found, f"the command ended before {what}:\n{self.stderr()}"
        return found

    def stderr(self) -> str:
        """Return its stderr so far."""
        return os.pread(self._stderr.fileno(), 10**7, 0).decode()

    def stdout(self) -> str:
        """Return its stdout so far."""
        return os.pread(self._stdout.fileno(), 10**7, 0).decode()

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def done(self, seconds: float = 240.0) -> Done:
        """Wait for its end and return its output."""
        returncode = self.process.wait(timeout=seconds)
        return Done(returncode, self.stdout(), self.stderr())


class Gate:
    """The gate at which trainings of the architecture `gated` wait; its plugin is in tests/plugins."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def environment(self) -> dict[str, str]:
        return {"GATE_FILE": str(self.path)}

    def allow_epochs(self, count: int) -> None:
        """Let each process train `count` epochs, then wait."""
        write_atomically(self.path, str(count))

    def num_reached(self) -> int:
        """Return how many processes have reached the gate; zoo has handled their last epoch completely."""
        return len([*self.path.parent.glob(f"{self.path.name}-*")])

    def open(self) -> None:
        """Let each process train to its end."""
        self.path.unlink()


def read_url(address: str | urllib.request.Request) -> str | None:
    """Return what a server answers there, or None as long as there is no answer."""
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            return str(response.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def is_alive(process: psutil.Process) -> bool:
    """Return True if a process runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def read_events(folder: Path) -> list[Event]:
    """Return the events in a trial's directory."""
    return EventLog(folder / "events.jsonl").read()


def epochs(events: list[Event]) -> list[EpochEnd]:
    return [event for event in events if isinstance(event, EpochEnd)]


def final_event(events: list[Event]) -> Finished | None:
    return next((event for event in events if isinstance(event, Finished)), None)


@dataclass(frozen=True)
class Snapshot:
    """The trials and runs of a study at one moment, read with Optuna's and MLflow's own functions."""

    optuna: list[Any]  # FrozenTrial, by number; without queued trials
    parents: list[Any]  # MLflow's Run
    children: list[Any]  # by trial
    standalone: list[Any]

    @property
    def states(self) -> list[str]:
        return [trial.state.name for trial in self.optuna]

    @property
    def statuses(self) -> list[str]:
        return [run.info.status for run in self.children]

    @property
    def reasons(self) -> list[str]:
        return [run.data.tags.get("zoo.reason", "") for run in self.children]


def snapshot(folder: Path, study: str, uri: str = "") -> Snapshot:
    client = mlflow_client(folder, uri)
    experiment = client.get_experiment_by_name(study)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    kinds: dict[str, list[Any]] = {"study": [], "trial": [], "standalone": []}
    for run in runs:
        kinds[run.data.tags["zoo.kind"]].append(run)
    children = sorted(kinds["trial"], key=lambda run: int(run.data.tags["zoo.trial"]))
    return Snapshot(optuna_trials(folder, study), kinds["study"], children, kinds["standalone"])


def mlflow_client(folder: Path, uri: str = "") -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri or f"sqlite:///{folder}/mlflow.db")


def optuna_trials(folder: Path, study: str) -> list[Any]:
    import optuna

    storage = f"sqlite:///{folder}/mlruns/optuna.db"
    trials = optuna.load_study(study_name=study, storage=storage).trials
    return [trial for trial in trials if trial.state.name != "WAITING"]
