"""What an outage of MLflow's server costs the trials: the time of their training, and their longest call.

    python benchmarks/outage.py
    python benchmarks/outage.py --runs 5 --json outage.json

The same four trials run with a server that answers, and with one that is killed after the first epoch. Both
run in turn. The trial processes time every call to the supervisor (`contenders/timed_net.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from measuring import BenchmarkError, environment, machine, main, print_progress, table, zoo_command
from trials import CONTENDERS, DISTRIBUTIONS, write_data

from zoo.events import EventLog, Finished

HOLD_SLOWDOWN = 1.01  # time of the training during an outage / with a server that answers
HOLD_CALL_MS = 50.0
_START_TIMEOUT_S = 120.0


@dataclass
class Measured:
    """The runs with, or without, the server."""

    fit_seconds: list[float] = field(default_factory=list)  # sum over the trials of a run
    longest_call: list[float] = field(default_factory=list)  # milliseconds


class Server:
    """`mlflow server` with a database in `folder`."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        with (folder / "server.txt").open("wb") as output:
            options = {"cwd": folder, "env": environment(), "stdout": output, "stderr": output}
            self._process = subprocess.Popen(command, start_new_session=True, **options)
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise BenchmarkError(f"mlflow server did not start; see {folder / 'server.txt'}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def run(folder: Path, data: Path, *, has_outage: bool) -> tuple[float, float]:
    """Return the seconds of all trainings, and the longest call of a trial process in milliseconds."""
    server = Server(folder)
    files = [str(CONTENDERS / "outage_study.toml"), "--plugin", str(CONTENDERS / "timed_net.py")]
    variables = environment(ZOO_DATA_DIR=str(data), MLFLOW_TRACKING_URI=server.address)
    with (folder / "output.txt").open("wb") as output:
        command = [*zoo_command(), "tune", *files, "--jobs", "1", "--quiet", "--no-promote"]
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)
        try:
            if has_outage:
                _wait_for_epoch(folder, process)
                server.kill()
            process.wait()
        finally:
            process.kill()
            server.kill()
    logs = [EventLog(path).read() for path in sorted(folder.glob("mlruns/zoo/*/trials/*/events.jsonl"))]
    ends = [event for log in logs for event in log if isinstance(event, Finished)]
    if len(ends) != 4 or any(event.state != "complete" for event in ends):
        raise BenchmarkError(f"not all trials are complete; see {folder / 'output.txt'}")
    seconds = sum(float(event.summary["train_seconds"]) for event in ends)
    return seconds, max(_calls(folder))


def _wait_for_epoch(folder: Path, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        for path in folder.glob("mlruns/zoo/*/trials/000/events.jsonl"):
            if b'"epoch_end"' in path.read_bytes():
                return
        time.sleep(0.05)


def _calls(folder: Path) -> list[float]:
    """Return the times of all calls of the trial processes, in milliseconds."""
    lines = [line for path in folder.glob("calls-*.txt") for line in path.read_text().splitlines()]
    if not lines:
        raise BenchmarkError("no trial process has timed a call")
    return [float(line.split()[2]) for line in lines]


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="measured runs of each (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement as JSON")
    options = parser.parse_args()
    results = {"server answers": Measured(), "server is away": Measured()}
    where = machine(*DISTRIBUTIONS)
    with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as work:
        data = Path(work, "data")
        data.mkdir()
        print_progress(f"data: {write_data(data / 'mnist.npz')}")
        for turn in range(options.runs + 1):  # the first one is not measured
            for name, measured in results.items():
                folder = Path(work, f"{turn}-{name.replace(' ', '-')}")
                folder.mkdir()
                seconds, longest = run(folder, data, has_outage=name == "server is away")
                print_progress(f"round {turn}: {name}: {seconds:.2f} s, longest call {longest:.1f} ms")
                if turn:
                    measured.fit_seconds.append(seconds)
                    measured.longest_call.append(longest)
    print(report(results, where))
    if options.json is not None:
        document = {"machine": where, **{name: asdict(one) for name, one in results.items()}}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def report(results: dict[str, Measured], where: str) -> str:
    rows = [
        [
            name,
            f"{statistics.median(one.fit_seconds):.2f}",
            f"{min(one.fit_seconds):.2f} … {max(one.fit_seconds):.2f}",
            f"{max(one.longest_call):.1f}",
        ]
        for name, one in results.items()
    ]
    with_server, away = (statistics.median(one.fit_seconds) for one in results.values())
    longest = max(results["server is away"].longest_call)
    held = "held" if away / with_server <= HOLD_SLOWDOWN else "not held"
    short = "held" if longest <= HOLD_CALL_MS else "not held"
    return "\n".join(
        [
            where,
            "",
            table(["MLflow's", "training of 4 trials, median, s", "range, s", "longest call, ms"], rows),
            "",
            f"* slowdown by an outage: {away / with_server:.3f}, to hold {HOLD_SLOWDOWN}: {held}",
            f"* longest call in an outage: {longest:.1f} ms, to hold {HOLD_CALL_MS:g} ms: {short}",
        ]
    )


if __name__ == "__main__":
    main(measure)
