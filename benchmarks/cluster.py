"""The start of a study and of its trials on a Ray cluster, against worker processes of this machine.

python benchmarks/cluster.py
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from measuring import BenchmarkError, environment, machine, main, print_progress, run, table, zoo_command

from zoo.events import EventLog, Finished, Started

STUDY = """
dataset = "digits"
[architecture]
name = "conv_net"
filters = [8]
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
dropout = { low = 0.0, high = 0.5 }
[training]
epochs = 1
batch_size = 64
optimizer = "adam"
learning_rate = 0.01
schedule = "constant"
[search]
trials = 8
sampler = "random"
pruner = "none"
"""
_START_TIMEOUT_S = 60.0


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each engine (3)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trials at once (1)")
    options = parser.parse_args()
    where = machine("keras-zoo", "ray", "keras", "tensorflow")
    with tempfile.TemporaryDirectory(prefix="zoo-ray-") as folder, cluster(Path(folder)) as address:
        engines = {
            "local": ["--engine", "local"],
            "ray, a cluster that runs": ["--engine", "ray", "--address", address],
            "ray, started by the command": ["--engine", "ray"],
        }
        facts: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
        for turn in range(max(1, options.runs)):
            for name, arguments in engines.items():
                print_progress(f"round {turn + 1} of {options.runs}: {name}")
                facts[name].append(run_once([*arguments, "--jobs", str(options.jobs)]))
    print(where, end="\n\n")
    print(report(facts))


def run_once(arguments: Sequence[str]) -> dict[str, float]:
    """Run the study in a new folder, and return its times in seconds."""
    with tempfile.TemporaryDirectory(prefix="zoo-cluster-") as work:
        folder = Path(work)
        (folder / "study.toml").write_text(STUDY, encoding="utf-8")
        command = [*zoo_command(), "tune", "study.toml", "--quiet", "--no-promote", *arguments]
        finished = run(" ".join(["zoo tune", *arguments]), command, folder)
        trials = sorted((folder / "mlruns" / "zoo" / "study" / "trials").iterdir())
        asked = [(trial / "config.json").stat().st_mtime for trial in trials]
        events = [EventLog(trial / "events.jsonl").read() for trial in trials]
    started = [next(one.time for one in each if isinstance(one, Started)) for each in events]
    ended = [next(one.time for one in each if isinstance(one, Finished)) for each in events]
    return {
        "first": asked[0] - finished.began,
        "first_started": started[0] - finished.began,
        # The first trial waits for Keras.
        "start": statistics.median(there - here for here, there in zip(asked[1:], started[1:], strict=True)),
        "trial": statistics.median(end - here for here, end in zip(asked[1:], ended[1:], strict=True)),
        "whole": finished.seconds,
    }


def report(facts: dict[str, list[dict[str, float]]]) -> str:
    titles = {
        "first": "prompt to the first trial",
        "first_started": "prompt to its first batch",
        "start": "a later trial until its first batch",
        "trial": "a later trial",
        "whole": "whole command",
    }
    rows = []
    for key, title in titles.items():
        medians = [statistics.median(one[key] for one in each) for each in facts.values()]
        rows.append([title, *(f"{value:.2f}" for value in medians)])
    return table(["median, s", *facts], rows)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a Ray node, yield its address, and end it."""
    with socket.socket() as one:
        one.bind(("", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--port", str(port), "--temp-dir", str(folder / "t"), "--include-dashboard", "false"]
    command += ["--num-cpus", str(os.cpu_count() or 1), "--disable-usage-stats"]
    output = folder / "ray.txt"
    with output.open("wb") as file:
        variables = environment(RAY_AUTH_MODE="disabled")
        node = subprocess.Popen(command, env=variables, stdout=file, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while "Ray runtime started." not in output.read_text(errors="replace"):
            if node.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"Ray did not start: {output.read_text(errors='replace')[-500:]}")
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        node.terminate()
        node.wait()


if __name__ == "__main__":
    main(measure)
