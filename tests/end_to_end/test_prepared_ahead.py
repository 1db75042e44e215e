"""With one job, the next trial of a random search is prepared while one trains."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import whole_record
from end_to_end_studies import GATED
from end_to_end_tools import until

from zoo.machine import available_cores

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(available_cores() < 2, reason="no core is idle while one trial is built"),
]


@pytest.fixture(scope="module")
def gated(gated_zoo):
    """The command, the gate, and the process of a trial that is prepared while another one trains."""
    zoo, gate = gated_zoo("ahead", ahead=GATED)

    def prepared_process(supervisor, trials):
        """Return the process whose trial is prepared and waits for its turn; None if there is none."""
        for process in supervisor.family():
            with contextlib.suppress(psutil.Error):
                logs = [Path(file.path) for file in process.open_files()]
                if any(log.parent == trials and log.suffix == ".tmp" for log in logs):
                    return process
        return None

    @contextlib.contextmanager
    def running(study):
        gate.allow_epochs(1)
        trials = zoo.folder / "mlruns" / "zoo" / study / "trials"
        with zoo.running("tune", "ahead", "--jobs", "1", "--name", study) as supervisor:
            process = supervisor.until(lambda: prepared_process(supervisor, trials), "a prepared trial")
            yield supervisor, process

    return SimpleNamespace(zoo=zoo, gate=gate, running=running)


def directories(zoo, study):
    return sorted(path.name for path in (zoo.folder / "mlruns" / "zoo" / study / "trials").iterdir())


def test_killed_process_of_a_prepared_trial_changes_nothing(gated):
    with gated.running("killed") as (supervisor, process):
        assert [name for name in directories(gated.zoo, "killed") if name[0] != "."] == ["000"]
        guard = process.parent()
        process.kill()
        until(lambda: not guard.is_running(), what="the end of the prepared process")
        gated.gate.allow_epochs(9)
        done = supervisor.done()
    assert done.returncode == 0, done.stderr
    assert whole_record.problems(gated.zoo.folder, "killed", 3) == []
    assert [trial.state.name for trial in gated.zoo.snapshot("killed").optuna] == ["COMPLETE"] * 3


def test_ctrl_c_leaves_no_trace_of_a_prepared_trial(gated):
    with gated.running("stopped") as (supervisor, process):
        supervisor.signal(signal.SIGINT)
        done = supervisor.done()
    assert (done.returncode, process.is_running()) == (130, False)
    assert "stopped with 0 of 3 trials done" in done.stderr
    assert directories(gated.zoo, "stopped") == ["000"]
    after = gated.zoo.snapshot("stopped")
    assert [trial.state.name for trial in after.optuna] == ["FAIL"]
    assert [run.data.tags["zoo.trial"] for run in after.children] == ["0"]

    gated.gate.allow_epochs(9)
    last = gated.zoo("tune", "ahead", "--jobs", "1", "--name", "stopped")
    assert last.returncode == 0, last.stderr
    assert whole_record.problems(gated.zoo.folder, "stopped", 3) == []
