"""A study in which a trial and a supervisor are killed, and that gets Ctrl-C and SIGTERM."""

from __future__ import annotations

import subprocess

import pytest
from end_to_end_studies import GATED, TINY
from end_to_end_tools import epochs, final_event, mlflow_client, read_events

pytestmark = pytest.mark.faults


def without_a_traceback(done):
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    return True


SIGKILLED = "interrupted: killed by signal 9 (SIGKILL)"


class TestKilledTrial:
    def test_is_interrupted_with_the_signal(self, busy):
        end = final_event(busy.killed_trial)
        assert (end.state, end.reason) == ("failed", SIGKILLED)
        assert len(epochs(busy.killed_trial)) == 1, "it was killed in the middle of its training"
        trial, run = busy.after.optuna[0], busy.after.children[0]
        assert (trial.state.name, trial.user_attrs["zoo.reason"]) == ("FAIL", SIGKILLED)
        assert (run.info.status, run.data.tags["zoo.reason"]) == ("FAILED", SIGKILLED)

    def test_is_retried_and_does_not_count(self, busy):
        first, *others = busy.after.optuna
        assert others[1].params == first.params  # trial 1 ran beside it

    def test_other_trials_continue(self, busy):
        """The second epoch of trial 1 and the first of trial 2 were trained after the kill."""
        assert len(epochs(busy.zoo.events("busy", 1))) == 2
        assert epochs(busy.zoo.events("busy", 2))


class TestKilledSupervisor:
    def test_its_processes_end_with_it(self, busy):
        """The fixture waited for their end; trials at the gate do not end by themselves."""
        assert busy.num_processes >= 3  # the fork server and two trials

    def test_leaves_its_trials_running_in_optuna(self, busy):
        assert busy.after_kill == ["FAIL", "RUNNING", "RUNNING"]

    def test_next_run_marks_its_trials_as_interrupted(self, busy):
        assert "trials 1, 2 were marked as interrupted and will be retried" in busy.ctrl_c.stderr
        for run in busy.after.children[1:3]:
            assert run.info.status == "FAILED"
            assert run.data.tags["zoo.reason"] == "interrupted: the supervisor was killed"

    def test_next_run_completes_the_curves_in_mlflow(self, busy):
        client = mlflow_client(busy.zoo.folder)
        for run in busy.after.children:
            recorded = epochs(busy.zoo.events("busy", int(run.data.tags["zoo.trial"])))
            history = client.get_metric_history(run.info.run_id, "val_accuracy")
            assert [point.step for point in sorted(history, key=lambda point: point.step)] == [
                event.epoch for event in recorded
            ]


class TestCtrlC:
    def test_ends_the_command_with_130_and_few_lines(self, busy):
        assert busy.ctrl_c.returncode == 130
        assert busy.ctrl_c.stdout == ""
        assert without_a_traceback(busy.ctrl_c)
        lines = busy.stderr_after_ctrl_c.splitlines()
        assert 1 <= len(lines) <= 6

    def test_prints_the_command_that_resumes(self, busy):
        last = busy.ctrl_c.stderr.splitlines()[-1]
        assert last == "stopped with 0 of 3 trials done; resume with: zoo " + " ".join(busy.command)

    def test_leaves_final_states_in_both_stores(self, busy):
        states = busy.after_ctrl_c.states
        assert "RUNNING" not in states
        assert "RUNNING" not in busy.after_ctrl_c.statuses
        assert len(states) == len(busy.after_ctrl_c.statuses)
        assert busy.after_ctrl_c.reasons[-2:] == ["interrupted", "interrupted"]
        assert busy.after_ctrl_c.parents[0].info.status == "KILLED"


class TestCtrlCTwice:
    def test_ends_the_command_at_once_with_130(self, busy):
        assert busy.ctrl_c_twice.returncode == 130
        assert busy.ctrl_c_twice.stdout == ""
        assert without_a_traceback(busy.ctrl_c_twice)
        assert (
            "stopped at once; the next run of the study records what is missing" in busy.ctrl_c_twice.stderr
        )


class TestSigterm:
    def test_ends_the_command_cleanly_with_143(self, busy):
        assert busy.sigterm.returncode == 143
        assert without_a_traceback(busy.sigterm)
        assert "resume with: zoo tune" in busy.sigterm.stderr
        assert "RUNNING" not in busy.after_sigterm.states
        assert "RUNNING" not in busy.after_sigterm.statuses
        assert busy.after_sigterm.parents[0].info.status == "KILLED"


class TestSecondSupervisor:
    def test_is_refused_while_the_first_runs(self, busy):
        assert busy.refused.returncode == 2
        (line,) = busy.refused.stderr.splitlines()
        assert line.startswith("error: the study 'busy' is being run by process ")
        assert line.endswith(". Wait until it ends, or stop it with Ctrl-C.")


class TestResumedStudy:
    def test_reaches_its_number_of_trials(self, busy):
        assert busy.last.returncode == 0, busy.last.stderr
        ended = [trial for trial in busy.after.optuna if not trial.user_attrs.get("zoo.interrupted")]
        assert [trial.state.name for trial in ended] == ["COMPLETE"] * 3
        assert busy.last.stdout.startswith("best: trial ")

    def test_leaves_no_run_running(self, busy):
        assert "RUNNING" not in busy.after.states
        assert "RUNNING" not in busy.after.statuses
        assert busy.after.parents[0].info.status == "FINISHED"
        assert len(busy.after.parents) == 1
        assert len(busy.after.children) == len(busy.after.optuna)

    def test_retries_interrupted_trials_with_the_same_values(self, busy):
        again = [trial.params for trial in busy.after.optuna if not trial.user_attrs.get("zoo.interrupted")]
        for trial in busy.after.optuna:
            if trial.user_attrs.get("zoo.interrupted"):
                assert trial.params in again

    def test_completes_every_configuration_once(self, busy):
        ended = [str(trial.params) for trial in busy.after.optuna if trial.state.name == "COMPLETE"]
        assert len(set(ended)) == 3

    @pytest.mark.parametrize("trial", [0, 1])
    def test_trials_map_the_same_dataset_into_memory(self, busy, trial):
        (folder,) = [path for path in (busy.zoo.folder / "mlruns/zoo/.cache").iterdir() if path.is_dir()]
        assert folder / "train-images.npy" in busy.maps[trial]


@pytest.mark.slow
def test_closed_stderr_does_not_stop_the_study(new_zoo):
    zoo = new_zoo("unread", tiny=TINY)
    command = [zoo.script, "tune", "tiny"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=zoo.folder, env=zoo.environment, text=True, **pipes)
    process.stderr.readline()
    process.stderr.close()
    stdout = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=240) == 0
    assert stdout.startswith("best: trial ")
    after = zoo.snapshot("tiny")
    assert after.statuses == ["FINISHED", "FINISHED"]
    assert [run.info.status for run in after.parents] == ["FINISHED"]


@pytest.mark.slow
def test_killed_standalone_run_is_marked_by_the_next(gated_zoo):
    zoo, gate = gated_zoo("killed", busy=GATED)
    standalone_dir = zoo.folder / "mlruns" / "zoo" / "busy" / "standalone"
    gate.allow_epochs(1)
    with zoo.running("train", "busy") as training:
        training.until(
            lambda: any(epochs(read_events(path)) for path in standalone_dir.glob("*")), "the first epoch"
        )
        training.process.kill()
        training.process.wait()
    done = zoo("train", "busy", "--set", "training.epochs=1")
    assert done.returncode == 0, done.stderr
    assert "warning: standalone-baseline was killed; it was marked as interrupted: " in done.stderr
    client = mlflow_client(zoo.folder)
    experiment = client.get_experiment_by_name("busy").experiment_id
    runs = sorted(client.search_runs([experiment]), key=lambda run: run.info.start_time)
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED"]
    assert runs[0].data.tags["zoo.reason"] == "interrupted: zoo train was killed"
