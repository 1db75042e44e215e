"""A study in which a trial was killed, its supervisor was killed, and people pressed Ctrl-C."""

from __future__ import annotations

import subprocess

import pytest
from end_to_end_studies import BUSY, TINY
from end_to_end_tools import epochs, final_event, mlflow_client, read_events


def without_a_traceback(done):
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    return True


SIGKILLED = "killed by signal 9 (SIGKILL)"


class TestATrialIsKilled:
    def test_it_failed_with_the_signal(self, busy):
        end = final_event(busy.killed_trial)
        assert (end.state, end.reason) == ("failed", SIGKILLED)
        assert epochs(busy.killed_trial), "it was killed in the middle of its training"
        trial, run = busy.after.optuna[0], busy.after.children[0]
        assert (trial.state.name, trial.user_attrs["zoo.reason"]) == ("FAIL", SIGKILLED)
        assert (run.info.status, run.data.tags["zoo.reason"]) == ("FAILED", SIGKILLED)

    def test_it_counts_and_is_not_run_again(self, busy):
        first = busy.after.optuna[0]
        assert all(trial.params != first.params for trial in busy.after.optuna[1:])

    def test_the_others_go_on(self, busy):
        """Trial 1 went on, trial 2 was begun: the fixture waited for both."""
        assert epochs(busy.zoo.events("busy", 2))


class TestTheSupervisorIsKilled:
    def test_no_process_lives_five_seconds_later(self, busy):
        assert busy.family >= 3  # the fork server and two trials
        assert busy.seconds_to_die < 5

    def test_its_trials_were_left_running(self, busy):
        """Or there would be nothing to put in order."""
        assert "RUNNING" in busy.after_kill

    def test_the_next_run_puts_them_in_order_and_says_so(self, busy):
        left = [number for number, state in enumerate(busy.after_kill) if state == "RUNNING"]
        listed = ", ".join(map(str, left))
        assert f"trial {listed} was marked as interrupted and will be retried" in busy.ctrl_c.stderr
        for number in left:
            run = busy.after.children[number]
            assert run.info.status == "FAILED"
            assert run.data.tags["zoo.reason"] == "interrupted: the supervisor was killed"

    def test_their_curves_are_whole(self, busy):
        """What was in the file and had not reached MLflow is there now."""
        client = mlflow_client(busy.zoo.folder)
        for run in busy.after.children:
            recorded = epochs(busy.zoo.events("busy", int(run.data.tags["zoo.trial"])))
            history = client.get_metric_history(run.info.run_id, "val_accuracy")
            assert [point.step for point in sorted(history, key=lambda point: point.step)] == [
                event.epoch for event in recorded
            ]


class TestCtrlCOnce:
    def test_ends_it_with_130_and_a_few_calm_lines(self, busy):
        assert busy.ctrl_c.returncode == 130
        assert busy.ctrl_c.stdout == ""
        assert without_a_traceback(busy.ctrl_c)
        lines = busy.said_after_ctrl_c.splitlines()
        assert 1 <= len(lines) <= 6

    def test_prints_the_command_to_go_on_with(self, busy):
        last = busy.ctrl_c.stderr.splitlines()[-1]
        assert last.startswith("stopped with ")
        assert last.endswith(" of 3 trials done; go on with: zoo " + " ".join(busy.command))

    def test_leaves_final_states_in_both_stores(self, busy):
        states = busy.after_ctrl_c.states
        assert "RUNNING" not in states
        assert "RUNNING" not in busy.after_ctrl_c.statuses
        assert len(states) == len(busy.after_ctrl_c.statuses)
        assert busy.after_ctrl_c.reasons[-2:] == ["interrupted", "interrupted"]
        assert busy.after_ctrl_c.parents[0].info.status == "KILLED"


class TestCtrlCTwice:
    def test_ends_it_at_once_with_130(self, busy):
        assert busy.ctrl_c_twice.returncode == 130
        assert busy.ctrl_c_twice.stdout == ""
        assert without_a_traceback(busy.ctrl_c_twice)
        assert "before anything was started" not in busy.ctrl_c_twice.stderr


class TestSigterm:
    def test_ends_it_as_cleanly_with_143(self, busy):
        assert busy.sigterm.returncode == 143
        assert without_a_traceback(busy.sigterm)
        assert "go on with: zoo tune" in busy.sigterm.stderr
        assert "RUNNING" not in busy.after_sigterm.states
        assert "RUNNING" not in busy.after_sigterm.statuses
        assert busy.after_sigterm.parents[0].info.status == "KILLED"


class TestASecondSupervisor:
    def test_is_refused_while_the_first_is_at_work(self, busy):
        assert busy.refused.returncode == 2
        (line,) = busy.refused.stderr.splitlines()
        assert line.startswith("error: The study 'busy' is being run by process ")
        assert line.endswith(". Wait until it ends, or stop it with Ctrl-C.")


class TestTheEnd:
    def test_the_study_comes_to_its_full_count(self, busy):
        assert busy.last.returncode == 0, busy.last.stderr
        ended = [trial for trial in busy.after.optuna if not trial.user_attrs.get("zoo.interrupted")]
        assert [trial.state.name for trial in ended] == ["FAIL", "COMPLETE", "COMPLETE"]
        assert busy.last.stdout.startswith("best: trial ")

    def test_no_run_is_left_running(self, busy):
        assert "RUNNING" not in busy.after.states
        assert "RUNNING" not in busy.after.statuses
        assert busy.after.parents[0].info.status == "FINISHED"
        assert len(busy.after.parents) == 1
        assert len(busy.after.children) == len(busy.after.optuna)

    def test_every_interrupted_trial_was_asked_for_again_with_the_same_values(self, busy):
        again = [trial.params for trial in busy.after.optuna if not trial.user_attrs.get("zoo.interrupted")]
        for trial in busy.after.optuna:
            if trial.user_attrs.get("zoo.interrupted"):
                assert trial.params in again

    def test_nothing_was_drawn_twice(self, busy):
        ended = [str(trial.params) for trial in busy.after.optuna if trial.state.name == "COMPLETE"]
        assert len(set(ended)) == 2

    @pytest.mark.parametrize("which", [0, 1])
    def test_the_trials_shared_the_prepared_data(self, busy, which):
        """Memory-mapped: its pages are in memory once for all trials."""
        (folder,) = [path for path in (busy.zoo.folder / "mlruns/zoo/.cache").iterdir() if path.is_dir()]
        assert folder / "train-images.npy" in busy.maps[which]


@pytest.mark.slow
def test_where_nobody_reads_its_progress_any_more_it_goes_on_and_its_record_is_whole(new_zoo):
    zoo = new_zoo("unread", tiny=TINY)
    command = [zoo.script, "tune", "--study", "tiny"]
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
def test_a_training_that_was_killed_is_put_in_order_by_the_next_run(new_zoo):
    zoo = new_zoo("killed", busy=BUSY)
    standalone_dir = zoo.folder / "mlruns" / "zoo" / "busy" / "standalone"
    with zoo.running("train", "--study", "busy") as training:
        training.until(
            lambda: any(len(epochs(read_events(path))) > 1 for path in standalone_dir.glob("*")), "two epochs"
        )
        training.process.kill()
        training.process.wait()
    done = zoo("train", "--study", "busy", "--set", "training.epochs=1")
    assert done.returncode == 0, done.stderr
    assert "warning: standalone-baseline was killed; it was marked as interrupted: " in done.stderr
    client = mlflow_client(zoo.folder)
    experiment = client.get_experiment_by_name("busy").experiment_id
    runs = sorted(client.search_runs([experiment]), key=lambda run: run.info.start_time)
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED"]
    assert runs[0].data.tags["zoo.reason"] == "interrupted: zoo train was killed"
