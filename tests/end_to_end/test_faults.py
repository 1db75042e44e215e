"""Faulty trials: each is recorded with its reason, and the study continues."""

from __future__ import annotations

from pathlib import Path

import pytest

FAULTY = Path(__file__).parents[1] / "plugins" / "zoo-faulty" / "src" / "zoo_faulty" / "__init__.py"
LINE = 1 + FAULTY.read_text(encoding="utf-8").splitlines().index(
    '        raise RuntimeError("the author divided\\nby zero")'
)
CRASH_LINE = 1 + FAULTY.read_text(encoding="utf-8").splitlines().index("        ctypes.string_at(0)")
REASONS = {
    "fine": "",
    "impossible": "impossible parameters: 8 units do not fit",
    "raises": "the architecture 'faulty' of zoo-faulty 0.3 raised RuntimeError: the author divided by zero, "
    f"at zoo_faulty/__init__.py:{LINE}",
    "vanishes": "exited with status 3",
    "segfaults": f"killed by signal 11 (SIGSEGV) at zoo_faulty/__init__.py:{CRASH_LINE}",
    "nan": "loss became nan in epoch 1; try a lower learning_rate",
}
STATES = {"fine": ("COMPLETE", "FINISHED", "complete"), "impossible": ("PRUNED", "KILLED", "rejected")}
FAILED = ("FAIL", "FAILED", "failed")


@pytest.fixture(scope="module")
def by_fault(faulty):
    """Optuna's trial and MLflow's run for each fault."""
    assert faulty.every.returncode == 0, faulty.every.stderr
    runs = {run.data.params["faulty.how"]: run for run in faulty.after.children}
    trials = {trial.params["faulty.how"]: trial for trial in faulty.after.optuna}
    return {how: (trials[how], runs[how]) for how in REASONS}


@pytest.mark.parametrize("how", REASONS)
def test_trial_has_state_and_reason_in_both_stores(by_fault, how):
    trial, run = by_fault[how]
    tags = run.data.tags
    assert (trial.state.name, run.info.status, tags["zoo.state"]) == STATES.get(how, FAILED)
    assert trial.user_attrs.get("zoo.reason", "") == tags.get("zoo.reason", "") == REASONS[how]
    assert tags["zoo.plugin.zoo-faulty"] == "0.3"


def test_study_reaches_its_number_of_trials(faulty):
    assert len(faulty.after.optuna) == len(faulty.after.children) == len(REASONS)
    assert faulty.every.stdout.startswith("best: trial 0, val_accuracy ")
    assert faulty.after.parents[0].info.status == "FINISHED"


def test_every_faulty_trial_is_one_line(faulty):
    for how, reason in REASONS.items():
        lines = [line for line in faulty.every.stderr.splitlines() if f"({reason})" in line]
        assert len(lines) == (how != "fine")
    assert "Traceback" not in faulty.every.stderr


def test_output_of_a_trial_is_in_its_log(faulty, by_fault):
    number = by_fault["raises"][0].number
    folder = faulty.zoo.folder / "mlruns" / "zoo" / "faulty" / "trials" / f"{number:03d}"
    log = (folder / "output.log").read_text()
    assert "RuntimeError: the author divided" in log
    assert "zoo_faulty/__init__.py" in log


class TestThreeFailuresInARow:
    def test_stop_the_study_with_exit_status_1(self, faulty):
        assert faulty.hopeless.returncode == 1
        assert faulty.hopeless.stdout == ""
        (line,) = faulty.hopeless.errors
        assert line.startswith(f"error: 3 trials in a row failed. Trial 2: {REASONS['raises']}. ")
        assert "Fix the plugin and run the same command with --accept-versions; " in line
        assert "Traceback" not in faulty.hopeless.stderr

    def test_leave_final_states_in_both_stores(self, faulty):
        assert faulty.after_hopeless.states == ["FAIL"] * 3
        assert faulty.after_hopeless.statuses == ["FAILED"] * 3
        assert faulty.after_hopeless.reasons == [REASONS["raises"]] * 3
        assert faulty.after_hopeless.parents[0].info.status == "FAILED"
