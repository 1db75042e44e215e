"""Memory of `zoo tune` over many trials: the supervisor, the fork server, every trial.

    python benchmarks/memory.py                           60 trials of digits_cnn
    python benchmarks/memory.py --trials 20 -- --sampler random

Arguments after `--` are passed to `zoo tune`. A sampler converges to certain networks, which changes the
memory of the trials; `--sampler random` avoids this.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
from measuring import BenchmarkError, machine, main, print_progress, run, table, zoo_command

SETTLED = 5  # trials until every module is imported


class Watch:
    """Samples of the processes of one `zoo tune`: RSS in MiB, by number of the running trial."""

    def __init__(self) -> None:
        self.supervisor: dict[int, float] = {}  # the last sample during the trial
        self.fork_server: dict[int, float] = {}  # the same
        self.trial: dict[int, float] = {}  # the peak
        self._numbers: dict[int, int] = {}  # process id -> trial

    def __call__(self, pid: int) -> None:
        try:
            supervisor = psutil.Process(pid)
            children = supervisor.children(recursive=True)
        except psutil.Error:
            return
        running = [(child, number) for child in children if (number := self._number(child)) is not None]
        for trial, number in running:
            try:
                server = trial.parent()
                peak = _mebibytes(trial)
                self.trial[number] = max(peak, self.trial.get(number, 0.0))
                self.supervisor[number] = _mebibytes(supervisor)
                if server is not None and server.pid != pid:
                    self.fork_server[number] = _mebibytes(server)
            except psutil.Error:
                continue  # the process has just ended

    def _number(self, process: psutil.Process) -> int | None:
        """Return the trial of a process, known by its open `trials/007/output.log`, or None."""
        if process.pid not in self._numbers:
            try:
                files = [Path(file.path) for file in process.open_files()]
            except (psutil.Error, OSError):
                return None
            logs = [file for file in files if file.name == "output.log" and file.parent.name.isdecimal()]
            if not logs:
                return None
            number = int(logs[0].parent.name)
            if (
                number in self._numbers.values()
            ):  # the scoring of the best model, which appends to the same log
                return None
            self._numbers[process.pid] = number
        return self._numbers[process.pid]


def _mebibytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


def measure() -> None:
    options = _options()
    watch = Watch()
    command = ["tune", "--study", "digits_cnn", "--trials", str(options.trials), *options.arguments]
    print_progress(f"zoo {' '.join(command)}")
    with tempfile.TemporaryDirectory(prefix="zoo-memory-") as folder:
        run("zoo tune", [*zoo_command(), *command], Path(folder), watch=watch, every=0.05, timeout=7200)
    seen = sorted(watch.trial)
    if len(seen) < 0.9 * options.trials:
        raise BenchmarkError(f"only {len(seen)} of {options.trials} trials were sampled")
    print(f"{machine('keras-zoo', 'keras', 'tensorflow')}; {len(seen)} of {options.trials} trials sampled.")
    print(f"\n{report(watch, options.trials)}")
    if options.json is not None:
        samples = {
            name: getattr(watch, name) for name in ("supervisor", "fork_server", "trial")
        }  # MiB, by trial
        options.json.write_text(json.dumps(samples, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=60, metavar="N", help="of digits_cnn (60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the values of every trial as JSON")
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="passed to zoo tune")
    options = parser.parse_args()
    if options.trials < SETTLED + 2:
        parser.error(f"a slope needs --trials of at least {SETTLED + 2}")
    return options


def report(watch: Watch, trials: int) -> str:
    """Return a Markdown table of the RSS after some trials, and of the slopes."""
    shown = sorted({5, *range(10, trials + 1, 10), trials})
    rows = [
        [
            str(count),
            _at(watch.supervisor, count - 1),
            _at(watch.fork_server, count - 1),
            _at(watch.trial, count - 1),
        ]
        for count in shown
    ]
    for first in (SETTLED, max(SETTLED, trials // 2)):  # the second shows growth that has not settled
        columns = (watch.supervisor, watch.fork_server, watch.trial)
        rows.append([f"slope from trial {first}, MiB a trial", *(_slope(one, first) for one in columns)])
    return table(["after trials", "supervisor, MiB", "fork server, MiB", "that trial's peak, MiB"], rows)


def _at(samples: dict[int, float], number: int) -> str:
    return f"{samples[number]:.0f}" if number in samples else "–"


def _slope(samples: dict[int, float], first: int) -> str:
    """Return the slope from trial `first` on, with its standard error: `+0.01 ± 0.02`."""
    numbers = [number for number in sorted(samples) if number >= first]
    if len(numbers) < 3:
        return "–"
    return "{:+.2f} ± {:.2f}".format(*fit_line(numbers, [samples[number] for number in numbers]))


def fit_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the least-squares line through at least three points, and its standard error."""
    slope, intercept = statistics.linear_regression(x, y)
    residual = sum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    mean = statistics.fmean(x)
    return slope, (residual / (len(x) - 2) / sum((a - mean) ** 2 for a in x)) ** 0.5


if __name__ == "__main__":
    main(measure)
