"""What a trial costs, and what it leaves behind, when a study has many: CPU time, memory, disk space.

    python benchmarks/many_trials.py                       10, 100 and 1,000 trials
    python benchmarks/many_trials.py --sizes 10,1000,10000 --sampler tpe --csv costs.csv

The trials train nothing: they answer at once with the events of three epochs. Everything else is real: the
supervisor, Optuna, the event logs and MLflow. For each size a new process continues the study.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from measuring import BenchmarkError, environment, machine, main, print_progress, table, zoo_command
from memory import fit_line

STUDY = """
dataset = "digits"

[architecture]
name = "conv_net"
filters = { choices = [8, 16, 32], length = [1, 2] }
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
dropout = { low = 0.0, high = 0.5 }

[training]
epochs = 3
batch_size = 32
optimizer = { choices = ["adam", "sgd"] }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
momentum = { low = 0.5, high = 0.9 }
schedule = "constant"
"""
WINDOW = 10  # trials at the end of each size of which the cost is the median
COLUMNS = (
    *("trials", "supervisor_ms", "mlflow_ms", "open_s", "compare_s", "rss_mib", "rss_slope_kib"),
    *("optuna_kib", "mlflow_kib", "artifacts_kib", "record_kib"),
)


def measure() -> None:
    options = _options()
    if options.continue_to:
        _continue_to(options.continue_to, options.sampler)
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="zoo-many-trials-", dir=options.folder) as name:
        folder = Path(name)
        (folder / "many.toml").write_text(STUDY, encoding="utf-8")
        for size in options.sizes:
            print_progress(f"{size:,} trials, sampler {options.sampler}")
            rows.append(_row(folder, size, options.sampler))
    _print(rows, options.sampler)
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--sizes", default="10,100,1000", metavar="N,N", help="numbers of trials (10,100,1000)"
    )
    parser.add_argument("--sampler", default="random", metavar="NAME", help="random (the default) or tpe")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="for the stores; in memory: /dev/shm")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")
    parser.add_argument("--continue-to", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.sizes = [int(one) for one in options.sizes.split(",")]
    return options


def _row(folder: Path, size: int, sampler: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--continue-to", str(size), "--sampler", sampler]
    answer = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if answer.returncode:
        raise BenchmarkError(f"{size} trials: {answer.stderr[-1500:]}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    compare = [*zoo_command(), "compare", "many"]
    subprocess.run(compare, cwd=folder, env=environment(), capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kib = {
        "optuna_kib": _kib(folder / "mlruns" / "optuna.db"),
        "mlflow_kib": _kib(folder / "mlflow.db"),
        "artifacts_kib": sum(_kib(one) for one in (folder / "mlruns").glob("[0-9]*")),
        "record_kib": _kib(folder / "mlruns" / "zoo" / "many"),
    }
    measured = json.loads(answer.stdout.splitlines()[-1])
    return {"trials": size, **measured, "compare_s": seconds, **{key: kib[key] / size for key in kib}}


def _kib(path: Path) -> float:
    """Return the size of a file, or of the files in a folder, in KiB."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files) / 1024


def _print(rows: list[dict[str, float]], sampler: str) -> None:
    print(f"{machine('keras-zoo', 'mlflow', 'optuna')}; sampler {sampler}\n")
    costs = [
        [
            f"{row['trials']:,}",
            f"{row['supervisor_ms']:.0f}",
            f"{row['mlflow_ms']:.0f}",
            f"{row['open_s']:.1f}",
            f"{row['compare_s']:.1f}",
            f"{row['rss_mib']:.0f}",
            f"{row['rss_slope_kib']:+.1f}",
        ]
        for row in rows
    ]
    header = ["trials", "supervisor, ms a trial", "MLflow's thread, ms a trial", "start, s"]
    print(table([*header, "`zoo compare`, s", "memory, MiB", "slope, KiB a trial"], costs), end="\n\n")
    stores = ("optuna_kib", "mlflow_kib", "artifacts_kib", "record_kib")
    sizes = [[f"{row['trials']:,}", *(f"{row[one]:.1f}" for one in stores)] for row in rows]
    names = ["optuna.db", "mlflow.db", "MLflow's files", "mlruns/zoo"]
    print(table(["trials", *(f"{name}, KiB a trial" for name in names)], sizes))
    growth = rows[-1]["supervisor_ms"] / rows[0]["supervisor_ms"]
    print(
        f"\n* a trial of {rows[-1]['trials']:,} costs {growth:.2f} × one of {rows[0]['trials']:,}, hold 2 ×"
    )


class FakeExecutor:
    """Trials that send the events of three epochs at once."""

    def __init__(self) -> None:
        self._events: dict[int, deque[Any]] = {}

    @property
    def running(self) -> list[int]:
        return list(self._events)

    @property
    def free_slots(self) -> int:
        return 1 - len(self._events)

    can_prepare = False

    def start(self, number: int, config: Any, *_: Any) -> None:
        from zoo.events import EpochEnd, Finished, Started

        best = random.Random(number).random()
        events: list[Any] = [Started(time.time(), "cpu", "tensorflow", 1234)]
        for epoch in (1, 2, 3):
            accuracy = best * epoch / 3
            metrics = {"loss": 1 - accuracy, "accuracy": accuracy, "val_loss": 1.0, "val_accuracy": accuracy}
            metrics |= {"learning_rate": 1e-3, "epoch_seconds": 0.1}
            events.append(EpochEnd(time.time(), epoch, metrics, is_last=epoch == 3))
        summary = {"best_val_accuracy": best, "best_epoch": 3, "parameters": 1234, "train_seconds": 0.3}
        self._events[number] = deque([*events, Finished(time.time(), "complete", "", summary)])

    def wait(self, timeout: float) -> list[int]:
        return self.running

    def read(self, number: int) -> Any:
        event = self._events[number].popleft()
        if not self._events[number]:
            del self._events[number]
        return event

    def answer(self, number: int, answer: Any) -> None:
        from zoo.events import Finished

        if answer is not True:
            summary = {"best_val_accuracy": 0.1, "best_epoch": 1, "parameters": 1234, "train_seconds": 0.1}
            self._events[number] = deque([Finished(time.time(), "pruned", "pruned", summary)])

    def stop_all(self) -> list[int]:
        stopped = self.running
        self._events.clear()
        return stopped


def _continue_to(size: int, sampler: str) -> None:
    """In a process of its own: continue the study in the working folder to `size` trials; print the costs."""
    import psutil

    from zoo.tuning import mlflow_record, opening, tune
    from zoo.tuning.display import Display

    trackers: list[Any] = []
    samples: list[tuple[float, float, float]] = []  # CPU of this thread and of all, after each trial; memory
    starts: list[float] = []

    class Tracker(mlflow_record.BackgroundTracker):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            trackers.append(self)

    class Watch(Display):
        def begin(self, *_: Any) -> None:
            starts.append(time.process_time())

        def started(self, number: int, config: Any) -> None:
            if len(samples) % 5 == 0:  # real trials take longer than MLflow
                while not trackers[-1]._queue.empty():
                    time.sleep(0.01)

        def finished(self, *_: Any) -> None:
            memory = psutil.Process().memory_info().rss / 2**20
            samples.append((time.thread_time(), time.process_time(), memory))

    opening.open_executor = lambda *_: FakeExecutor()
    opening.start_loading_keras = lambda: None
    mlflow_record.BackgroundTracker = Tracker  # type: ignore[misc]
    with Path(os.devnull).open("w") as nowhere:
        sys.stderr = nowhere
        tune("many.toml", trials=size, sampler=sampler, display=Watch(), promote=False)
    print(json.dumps(_costs(starts[0], samples)))


def _costs(start_s: float, samples: list[tuple[float, float, float]]) -> dict[str, float]:
    last = samples[-WINDOW - 1 :]
    steps = list(itertools.pairwise(last))
    own = [1000 * (after[0] - before[0]) for before, after in steps]
    others = 1000 * (last[-1][1] - last[0][1]) / len(steps) - statistics.fmean(own)
    settled = samples[len(samples) // 2 :]
    memory = [sample[2] for sample in settled]
    slope = fit_line(range(len(settled)), memory)[0] if len(settled) > 20 else 0.0
    return {
        "supervisor_ms": statistics.median(own),
        "mlflow_ms": others,
        "open_s": start_s,
        "rss_mib": samples[-1][2],
        "rss_slope_kib": 1024 * slope,
    }


if __name__ == "__main__":
    main(measure)
