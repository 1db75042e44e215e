"""Random kills while a search runs, then a comparison of everything that was recorded.

    python -m benchmarks.chaos --kills 200
    python -m benchmarks.chaos --kills 50 --minutes 10 --seed 7

It runs `zoo tune` with two trials at a time (`--jobs`), kills a random process of it (the supervisor, the
fork server, the process of a trial or of the dataset, a guard) at a random time, and runs the command again
whenever it ended. When all kills are done, or the time is over, it lets the study finish, and compares the
event logs with Optuna and MLflow: nothing may be lost, doubled or left running, and the number of trials
must be exact.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("tests", "tests/end_to_end"))

from end_to_end_studies import TINY
from end_to_end_tools import is_alive
from whole_record import problems

from zoo.events import EpochEnd
from zoo.record import StudyDirectory

WAITS_FOR_TRIALS = 0.8  # of the commands; in the others, the first kill may come while they start
LONGEST_PAUSE_S = 4.0  # between two kills
# How often each kind of process is killed. A supervisor that is killed at once leaves nothing to kill.
WEIGHTS = {
    "supervisor": 1,
    "fork server": 1,
    "resource tracker": 1,
    "dataset": 1,
    "trial or guard": 8,
    "other": 1,
}
ORPHAN_TIMEOUT_S = 10.0  # after the supervisor's end, until no process of it is left
STUDY = "tiny"
TRIALS_PER_KILL = 2.7


class Chaos:
    """A study, and the kills in it."""

    def __init__(self, folder: Path, seed: int, trials: int, jobs: int = 2) -> None:
        self.folder = folder
        self.jobs = jobs
        self.trials = trials
        self.kills: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()  # of the commands
        self.stuck: list[str] = []
        self._random = random.Random(seed)
        (folder / "studies").mkdir()
        text = TINY.replace("epochs = 2", "epochs = 3").replace("trials = 2", f"trials = {trials}")
        (folder / "studies" / f"{STUDY}.toml").write_text(text)

    def run(self, kills: int, deadline: float) -> None:
        """Run commands until `kills` processes are killed, or the study or the time ends."""
        while self.kills.total() < kills and time.monotonic() < deadline:
            process = self._start()
            self._kill_some(process, kills, deadline)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            self.statuses[process.wait()] += 1
            if process.returncode == 0:
                return

    def finish(self) -> list[str]:
        """Let the study finish without kills; return what is wrong with its record."""
        status = self._start().wait()
        lines = problems(self.folder, STUDY, self.trials)
        return [*self.stuck, *([f"the last command ended with status {status}"] if status else []), *lines]

    def num_epochs(self) -> int:
        directory = StudyDirectory(self.folder, STUDY)
        events = [event for number in directory.numbers() for event in directory.trial(number).events()]
        return sum(isinstance(event, EpochEnd) for event in events)

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "output.txt").open("ab") as output:
            command = [shutil.which("zoo") or "zoo", "tune", STUDY, "--jobs", str(self.jobs)]
            streams = {"stdout": output, "stderr": output, "stdin": subprocess.DEVNULL}
            return subprocess.Popen(command, cwd=self.folder, start_new_session=True, **streams)

    def _kill_some(self, process: subprocess.Popen[bytes], kills: int, deadline: float) -> None:
        """Kill processes of one command until it ends."""
        supervisor = psutil.Process(process.pid)
        if self._random.random() < WAITS_FOR_TRIALS:
            self._wait_for_trial(process, supervisor)
        while self.kills.total() < kills and time.monotonic() < deadline:
            if self._has_ended(process, self._random.uniform(0.0, LONGEST_PAUSE_S)):
                return
            try:
                family = [supervisor, *supervisor.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            by_kind: dict[str, list[psutil.Process]] = {}
            names = {one.pid: _kind(one, process.pid) for one in family}
            for one in family:
                by_kind.setdefault(names[one.pid], []).append(one)
            by_kind.pop("", None)
            if not by_kind:
                return
            kinds = sorted(by_kind)
            (kind,) = self._random.choices(kinds, [WEIGHTS[one] for one in kinds])
            victim = self._random.choice(by_kind[kind])
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
            self.kills[kind] += 1
            if kind == "supervisor":
                self._wait_for_orphans(family, names)

    def _wait_for_trial(self, process: subprocess.Popen[bytes], supervisor: psutil.Process) -> None:
        """Wait until a trial runs, or the command ends."""
        while not self._has_ended(process, 0.2):
            with contextlib.suppress(psutil.NoSuchProcess):
                kinds = [_kind(one, process.pid) for one in supervisor.children(recursive=True)]
                if "trial or guard" in kinds:
                    return

    def _has_ended(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _wait_for_orphans(self, family: list[psutil.Process], names: dict[int, str]) -> None:
        end = time.monotonic() + ORPHAN_TIMEOUT_S
        while left := [one for one in family if is_alive(one)]:
            if time.monotonic() > end:
                self.stuck += [f"{names[one.pid]} ({one.pid}) survived the supervisor" for one in left]
                return
            time.sleep(0.1)


def _kind(process: psutil.Process, supervisor: int) -> str:
    """Return the role of a process in a command; "" if it has ended."""
    try:
        if process.pid == supervisor:
            return "supervisor"
        command = " ".join(process.cmdline())
        if "resource_tracker" in command:
            return "resource tracker"
        if "spawn_main" in command:
            return "dataset"
        if "forkserver" in command:
            parent = process.parent()
            if parent is not None and parent.pid == supervisor:
                return "fork server"
            return "trial or guard"
    except psutil.Error:
        return ""
    return "other" if command else ""


def main() -> int:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0, help="after this time, no process is killed")
    parser.add_argument("--trials", type=int, help="by default one for two kills")
    parser.add_argument("--jobs", type=int, default=2, help="with 1, the next trial is prepared ahead")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    trials = options.trials or max(4, round(options.kills * TRIALS_PER_KILL))
    print(f"seed {options.seed}, {options.kills} kills, {trials} trials", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zoo-chaos-") as name:
        chaos = Chaos(Path(name), options.seed, trials, options.jobs)
        chaos.run(options.kills, start + 60 * options.minutes)
        found = chaos.finish()
        kinds = ", ".join(f"{count} of the {kind}" for kind, count in sorted(chaos.kills.items()))
        print(f"{chaos.kills.total()} kills in {time.monotonic() - start:.0f} s: {kinds}")
        statuses = ", ".join(f"{count} with {status}" for status, count in sorted(chaos.statuses.items()))
        print(f"commands ended: {statuses}; then one without kills")
        print(f"{trials} trials, {chaos.num_epochs()} epochs in the event logs")
        if found:
            kept = Path(tempfile.mkdtemp(prefix="zoo-chaos-failed-")) / "study"
            shutil.copytree(name, kept)
            print("\n".join(found), f"the study is kept in {kept}", sep="\n")
        else:
            print("0 lost, 0 doubled, 0 stuck")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
