"""The supervisor's loop, with stand-ins for the worker processes, MLflow and the terminal."""

from __future__ import annotations

import errno
import itertools
import math
import os
import signal
import time
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from zoo.checksums import write_json
from zoo.disk_space import DiskFull
from zoo.errors import DataError
from zoo.events import EpochEnd, Finished, Progress, Scored, Started
from zoo.record import StudyDirectory, TrialDirectory
from zoo.tuning import supervisor as supervisor_module
from zoo.tuning.continuing import PendingTrial
from zoo.tuning.display import NoDisplay
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.standalone_run import TrialList
from zoo.tuning.supervisor import Supervisor, TooManyFailures, interrupted_event

optuna = pytest.importorskip("optuna")

STARTED = Started(1.0, "cpu", "tensorflow", 9)


def epoch(number, value, **fields):
    return EpochEnd(1.0 + number, number, {"val_accuracy": value}, **fields)


def end(state="complete", reason="", **summary):
    return Finished(9.0, state, reason, summary)


def complete(value=0.5):
    return [STARTED, epoch(1, value), end(best_val_accuracy=value, best_epoch=1)]


def failed(reason="it fell"):
    return [STARTED, end("failed", reason)]


REJECTED = [end("pruned", "impossible parameters: too small")]
RUNNING = [STARTED, epoch(1, 0.5)]  # sends nothing more


class FakeExecutor:
    """Trials that send given events. A SIGINT comes at a `None`, and when no trial has an event left."""

    def __init__(self, trials, log, jobs=1):
        self.jobs = jobs
        self.can_prepare = False
        self.num_left = []  # at each start
        self._trials = deque(trials)
        self._log = log
        self._events = {}

    @property
    def running(self):
        return list(self._events)

    @property
    def free_slots(self):
        return self.jobs - len(self._events)

    def start(self, number, config, cache_dir, folder, num_left):
        self.num_left.append(num_left)
        events = self._trials.popleft()
        if isinstance(events, BaseException):
            raise events
        self._events[number] = deque(events)

    def prepare(self, number, config, cache_dir, folder, num_left):
        self._log.append(("prepared", number, num_left))
        self.can_prepare = False

    def wait(self, timeout):
        ready = [number for number, events in self._events.items() if events and events[0] is not None]
        if not ready and timeout:
            for events in self._events.values():
                if events and events[0] is None:  # the events behind it arrive together with the signal
                    events.popleft()
            os.kill(os.getpid(), signal.SIGINT)
        return ready

    def read(self, number):
        event = self._events[number].popleft()
        if isinstance(event, Finished):
            del self._events[number]
        return event

    def answer(self, number, should_continue):
        self._log.append(("answer", number, should_continue))
        if not should_continue:
            self._events[number] = deque([end("pruned", "pruned after epoch 1", best_val_accuracy=0.1)])

    def stop_all(self):
        stopped = self.running
        self._events.clear()
        return stopped


class Tracker:
    def __init__(self, log):
        self._log = log

    def put(self, number, config, events, folder):
        (event,) = events
        self._log.append(("tracker", number, event.name, getattr(event, "state", None)))
        assert config["digest"]
        assert folder.name == f"{number:03d}"


class Display(NoDisplay):
    def __init__(self):
        self.calls = []

    def begin(self, study, objectives, done, total):
        self.calls.append(("begin", study, done, total))

    def progress(self, number, event):
        self.calls.append(("progress", number, event.fold or 1, event.epoch, event.fraction))

    def epoch(self, number, event):
        self.calls.append(("epoch", number, event.fold or 1, event.epoch))

    def finished(self, number, state, values, reason, best, done):
        self.calls.append(("finished", number, state, values, reason, best, done))


class Stage:
    """A supervisor of the example study and everything around it."""

    def __init__(self, definition, search, folder, trials, jobs=1, deadline=math.inf):
        self.deadline = deadline
        self.log = []
        self.display = Display()
        self.directory = StudyDirectory(folder, definition.name)
        self.search = search
        self.executor = FakeExecutor(trials, self.log, jobs)
        self.study = SimpleNamespace(
            definition=definition,
            directory=self.directory,
            executor=self.executor,
            display=self.display,
            interrupts=Interrupts(),
            verified=Future(),
        )
        self.study.verified.set_result(None)

    def run(self, directory_of=None):
        """Run the supervisor; return what the study has come to."""
        search, interrupts = self.search, self.study.interrupts
        with interrupts:
            tracker = Tracker(self.log)
            self.supervisor = Supervisor(self.study, search, tracker, directory_of, deadline=self.deadline)
            self.supervisor.run()
        return SimpleNamespace(
            best=search.best(),
            done=search.done(),
            total=search.total(),
            front=search.front(),
            rejected=search.num_rejected(),
            interrupted=None if interrupts.signum is None else interrupts.exit_status,
        )

    def states(self):
        return [trial.state.name for trial in self.search._study.trials if trial.state.name != "WAITING"]

    def reasons(self):
        return [self.directory.trial(number).final_event().reason for number in range(len(self.states()))]

    def names(self, number):
        """The names of the events that a trial's event log holds."""
        return [event.name for event in self.directory.trial(number).events()]


@pytest.fixture
def stage(define, open_search, tmp_path, monkeypatch):
    """stage([complete(), failed()], "search.trials=2") -> a supervisor with two trials to run.

    Each call in a test resumes the same study, which is in memory: files have their own tests.
    """
    storage = optuna.storages.InMemoryStorage()
    monkeypatch.setattr("zoo.tuning.search.open_storage", lambda *_, **__: storage)

    def make(trials, *overrides, jobs=1, deadline=math.inf):
        overrides = overrides or (f"search.trials={len(trials)}",)
        return Stage(define(*overrides), open_search(*overrides), tmp_path, trials, jobs, deadline)

    return make


def killed(reason="killed by signal 9 (SIGKILL)"):
    return [STARTED, Finished(9.0, "failed", reason, is_killed=True)]


class TestKilledFromOutside:
    def test_killed_trial_is_run_again_and_does_not_count(self, stage):
        here = stage([complete(0.5), killed(), complete(0.6), complete(0.7)], "search.trials=3")
        outcome = here.run()
        assert (outcome.done, outcome.best) == (3, (3, 0.7))
        assert here.states() == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
        assert here.reasons()[1] == "interrupted: killed by signal 9 (SIGKILL)"
        configs = [here.directory.trial(number).config()["training"] for number in range(4)]
        assert configs[1] == configs[2] != configs[3]

    def test_second_kill_of_a_trial_is_a_failure(self, stage):
        here = stage([killed(), killed(), complete()], "search.trials=2")
        assert here.run().done == 2
        assert here.reasons()[:2] == [
            "interrupted: killed by signal 9 (SIGKILL)",
            "killed by signal 9 (SIGKILL)",
        ]

    def test_attempts_are_counted_across_processes(self, stage):
        here = stage([killed(), RUNNING], "search.trials=2")
        assert here.run().interrupted == 130  # during the second attempt, which does not count as a kill
        here = stage([killed(), complete()], "search.trials=2")
        assert here.run().done == 2
        assert here.reasons()[2] == "killed by signal 9 (SIGKILL)"

    def test_first_kills_do_not_end_the_study(self, stage):
        here = stage([*[killed()] * 3, *[complete()] * 4], "search.trials=4", jobs=3)
        assert here.run().done == 4
        assert here.states() == [*["FAIL"] * 3, *["COMPLETE"] * 4]

    def test_trials_that_are_always_killed_end_the_study(self, stage):
        here = stage([killed()] * 6, "search.trials=9")
        with pytest.raises(TooManyFailures, match=r"Trial 5: killed by signal 9 \(SIGKILL\)"):
            here.run()
        assert here.search.done() == 3


class TestContinued:
    """The trial that retries an interrupted one gets its checkpoints, and its seed."""

    def interrupt(self, stage, trials="search.trials=2"):
        """Interrupt trial 1 of a study, after each trial has written a checkpoint."""
        here = stage([complete(), RUNNING], trials)
        start = here.executor.start

        def write(number, config, cache_dir, folder, num_left):
            start(number, config, cache_dir, folder, num_left)
            checkpoint = folder / "checkpoints" / "01-00001.ckpt"
            checkpoint.parent.mkdir()
            checkpoint.write_text(f"of trial {number}")

        here.executor.start = write
        here.run()
        assert not here.directory.trial(0).checkpoints_dir.exists()  # it is complete
        return here

    def checkpoint(self, here, number):
        path = here.directory.trial(number).checkpoints_dir / "01-00001.ckpt"
        return path.read_text() if path.exists() else None

    def test_retried_trial_gets_checkpoint_and_seed(self, stage):
        self.interrupt(stage)
        here = stage([RUNNING], "search.trials=2")
        here.run()
        assert (self.checkpoint(here, 1), self.checkpoint(here, 2)) == (None, "of trial 1")
        first, second = (here.directory.trial(number).config() for number in (1, 2))
        assert first == second
        assert here.reasons()[1:] == ["interrupted", "interrupted"]

    def test_second_retry_continues_the_first(self, stage):
        self.interrupt(stage)
        stage([RUNNING], "search.trials=2").run()
        here = stage([RUNNING], "search.trials=2")
        here.run()
        assert [self.checkpoint(here, number) for number in (1, 2, 3)] == [None, None, "of trial 1"]
        assert here.directory.trial(3).config() == here.directory.trial(1).config()

    def test_retry_that_was_killed_before_it_got_them_is_skipped(self, stage):
        here = self.interrupt(stage)
        here.search.ask()  # the process is killed here: trial 2 stays running, without a directory
        here = stage([RUNNING], "search.trials=2")
        for number in here.search.unfinished_trials():
            here.search.tell(number, interrupted_event("interrupted"))
        here.run()
        assert here.directory.numbers()[-1] == 3
        assert self.checkpoint(here, 3) == "of trial 1"

    def test_checkpoints_are_deleted_at_the_end(self, stage):
        self.interrupt(stage)
        here = stage([complete()], "search.trials=2")
        here.run()
        assert not any(here.directory.trial(number).checkpoints_dir.exists() for number in (0, 1, 2))

    def test_other_configuration_starts_anew(self, stage):
        here = self.interrupt(stage)
        path = here.directory.trial(1)
        write_json(path.config_path, {**path.config(), "plugins": {"zoo:builtin": "0.0"}})
        problems = []
        here = stage([RUNNING], "search.trials=2")
        here.display.problem = problems.append
        here.run()
        assert problems == [f"trial 2 starts anew: the checkpoints in {path.path} have another configuration"]
        assert (self.checkpoint(here, 1), self.checkpoint(here, 2)) == (None, None)

    def test_damaged_data_is_not_continued(self, stage):
        here = stage([complete()], "search.trials=1")
        here.study.verified = Future()
        here.study.verified.set_exception(DataError("the prepared dataset was changed"))
        here.directory.trial(0).checkpoints_dir.mkdir(parents=True)
        with pytest.raises(DataError):
            here.run()
        assert here.reasons() == ["interrupted: the prepared dataset was damaged"]
        assert not here.directory.trial(0).checkpoints_dir.exists()

    def test_display_says_what_continues_and_what_is_damaged(self, stage):
        started = Started(1.0, continues="trial 3 after epoch 7", problem="the checkpoint a.ckpt is damaged")
        here = stage([[started, epoch(1, 0.5, is_repeated=True), *complete()[1:]]])
        here.display.problem = lambda text: here.display.calls.append(("problem", text))
        here.display.note = lambda text: here.display.calls.append(("note", text))
        here.run()
        assert ("problem", "trial 0: the checkpoint a.ckpt is damaged") in here.display.calls
        assert ("note", "trial 0 continues trial 3 after epoch 7") in here.display.calls

    def test_standalone_run_continues_in_its_directory(self, stage, tmp_path):
        """As `zoo confirm` does, whose runs have the same name every time."""
        directory = TrialDirectory(tmp_path / "000")
        config = stage([complete()]).search.ask().config
        for trial in (RUNNING, complete()):
            here = stage([trial])
            here.search = TrialList([PendingTrial(0, config)])
            start = here.executor.start

            def write(number, config, cache_dir, folder, num_left, start=start):
                start(number, config, cache_dir, folder, num_left)
                (folder / "checkpoints").mkdir(exist_ok=True)
                (folder / "checkpoints" / "again").touch()

            here.executor.start = write
            if trial != RUNNING:
                assert (directory.checkpoints_dir / "again").exists()
                (directory.path / "model.keras").touch()
            with here.study.interrupts:
                Supervisor(here.study, here.search, Tracker(here.log), lambda number: directory).run()
        assert not directory.checkpoints_dir.exists()
        assert not directory.model_path.exists()
        assert [event.name for event in directory.events()][-1] == "finished"


@pytest.mark.parametrize(
    ("signum", "reason"),
    [
        (signal.SIGTERM, "preempted: SIGTERM stopped the study"),
        (signal.SIGHUP, "interrupted: the terminal was closed"),
    ],
)
def test_signal_is_the_reason(signum, reason, stage, monkeypatch):
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda pid, _: kill(pid, signum))
    here = stage([complete(), RUNNING], "search.trials=2")
    assert here.run().interrupted == 128 + signum
    event = here.directory.trial(1).final_event()
    assert (event.reason, event.shown_state) == (reason, "interrupted")
    assert stage([complete()], "search.trials=2").run().done == 2


class TestDamagedDataset:
    def test_no_result_on_damaged_data_is_recorded(self, stage):
        here = stage([complete(0.9), complete(0.8)], "search.trials=2", jobs=2)
        here.study.verified = Future()
        here.study.verified.set_exception(DataError("the prepared dataset was changed"))
        with pytest.raises(DataError, match="the prepared dataset was changed"):
            here.run()
        assert (here.search.done(), here.search.best()) == (0, None)
        assert here.states() == ["FAIL", "FAIL"]
        assert here.reasons() == ["interrupted: the prepared dataset was damaged"] * 2
        here.study.verified = Future()
        here = stage([complete(0.7), complete(0.6)], "search.trials=2")
        assert here.run().best == (2, 0.7)  # the same parameters, on undamaged data
        configs = [here.directory.trial(number).config()["training"] for number in range(4)]
        assert configs[:2] == configs[2:]


class TestOneEvent:
    def test_goes_to_log_then_optuna_then_trial_then_tracker(self, stage, monkeypatch):
        here = stage([complete(0.5)])
        log, search, directory = here.log, here.search, here.directory

        def watch(name):
            method = getattr(search, name)

            def watched(number, *rest):
                log.append((name, number, directory.trial(number).events()[-1].name))
                return method(number, *rest)

            monkeypatch.setattr(search, name, watched)

        watch("report")
        watch("tell")
        here.run()
        assert log == [
            ("tracker", 0, "started", None),
            ("report", 0, "epoch_end"),  # it is in the log already
            ("answer", 0, True),
            ("tracker", 0, "epoch_end", None),
            ("tell", 0, "finished"),
            ("tracker", 0, "finished", "complete"),
        ]

    def test_progress_goes_only_to_the_display(self, stage):
        here = stage([[STARTED, Progress(1, 0.5), *complete()[1:]]])
        here.run()
        assert ("progress", 0, 1, 1, 0.5) in here.display.calls
        assert here.names(0) == ["started", "epoch_end", "finished"]
        assert all(entry[2] != "progress" for entry in here.log)

    def test_any_other_event_is_logged_and_tracked(self, stage):
        here = stage([[STARTED, Scored(2.0, {"test_accuracy": 0.5}), *complete()[1:]]])
        here.run()
        assert here.names(0) == ["started", "scored", "epoch_end", "finished"]
        assert ("tracker", 0, "scored", None) in here.log

    def test_configuration_is_written_before_the_trial_starts(self, stage, monkeypatch):
        here = stage([complete()])
        start = here.executor.start
        found = []

        def watched(number, config, cache_dir, folder, num_left):
            found.append(here.directory.trial(number).config() == config.as_json())
            start(number, config, cache_dir, folder, num_left)

        monkeypatch.setattr(here.executor, "start", watched)
        here.run()
        assert found == [True]

    def test_pruned_trial_is_stopped(self, stage):
        good = [STARTED, epoch(1, 0.9), epoch(2, 0.9), end(best_val_accuracy=0.9, best_epoch=1)]
        bad = [STARTED, epoch(1, 0.1), epoch(2, 0.1), *[epoch(number, 0.1) for number in range(3, 9)]]
        here = stage([good, good, good, good, bad], "search.trials=5", "search.pruner=median")
        here.run()
        assert here.log.count(("answer", 4, False)) == 1
        assert here.states()[4] == "PRUNED"
        assert here.names(4).count("epoch_end") == 2

    def test_display_gets_the_fold(self, stage):
        trial = [epoch(1, 0.5, fold=1), Progress(1, 0.5, fold=2), epoch(1, 0.5, fold=2)]
        here = stage([[STARTED, *trial, end(best_val_accuracy=0.5)]], "search.trials=1", "validation.folds=2")
        here.run()
        calls = [call for call in here.display.calls if call[0] in ("progress", "epoch")]
        assert calls == [("epoch", 0, 1, 1), ("progress", 0, 2, 1, 0.5), ("epoch", 0, 2, 1)]

    def test_full_disk_pauses_until_there_is_room(self, stage, monkeypatch):
        """The trial waits for its answer meanwhile; nothing is lost or doubled, and one line says so."""
        here, problems, pauses = stage([complete(0.5), complete(0.6)], "search.trials=2"), [], []
        here.display.problem = problems.append
        monkeypatch.setattr("zoo.disk_space.time.sleep", pauses.append)
        append, create, calls = TrialDirectory.append, TrialDirectory.create, []

        def full_twice(method):
            def write(self, *arguments):
                calls.append(1)
                if len(calls) % 3:
                    raise OSError(errno.ENOSPC, "No space left on device")
                method(self, *arguments)

            return write

        monkeypatch.setattr(TrialDirectory, "append", full_twice(append))
        monkeypatch.setattr(TrialDirectory, "create", full_twice(create))
        here.run()
        assert here.states() == ["COMPLETE", "COMPLETE"]
        assert [here.names(number) for number in (0, 1)] == [["started", "epoch_end", "finished"]] * 2
        assert len(problems) == 8  # once for each write: two folders, and six events
        path = here.directory.trial(0).event_log.path
        assert problems[1].startswith(f"the disk is full: {path} cannot be written (")
        assert len(pauses) == 16

    def test_ctrl_c_ends_the_waiting_for_room(self, stage, monkeypatch):
        here = stage([complete(0.5)], "search.trials=1")
        here.display.problem = lambda text: os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr("zoo.disk_space.time.sleep", lambda seconds: None)

        def full(self, event):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(TrialDirectory, "append", full)
        with pytest.raises(DiskFull, match="Make room, and run the same command again") as raised:
            here.run()
        assert raised.value.exit_status == 130
        assert here.executor.running == []
        monkeypatch.undo()

    def test_full_disk_does_not_hide_the_end_from_the_tracker(self, stage, monkeypatch):
        here = stage([complete()])

        def full(self, event):
            raise OSError("no space left on device")

        monkeypatch.setattr("zoo.record.TrialDirectory.append", full)
        with pytest.raises(OSError, match="no space left"):
            here.run()
        assert here.log[-1] == ("tracker", 0, "finished", "failed")

    def test_final_state_that_is_not_written_is_interrupted_in_mlflow(self, stage, monkeypatch):
        """Optuna does not have it either, so the next run retries the trial."""
        here = stage([complete()])
        append = TrialDirectory.append

        def full(self, event):
            if isinstance(event, Finished):
                raise OSError("no space left on device")
            append(self, event)

        monkeypatch.setattr(TrialDirectory, "append", full)
        with pytest.raises(OSError, match="no space left"):
            here.run()
        assert here.log[-1] == ("tracker", 0, "finished", "failed")
        assert here.states() == ["RUNNING"]

    def test_error_of_one_trial_does_not_keep_the_others_running(self, stage, monkeypatch):
        here = stage([RUNNING, RUNNING], "search.trials=2", jobs=2)
        append = TrialDirectory.append

        def full(self, event):
            if isinstance(event, Finished) and self.path.name == "001":
                raise OSError("no space left on device")
            append(self, event)

        monkeypatch.setattr(TrialDirectory, "append", full)
        with pytest.raises(OSError, match="no space left"):
            here.run()
        assert here.states() == ["FAIL", "RUNNING"]
        finished = [entry[1:] for entry in here.log if entry[0] == "tracker" and entry[2] == "finished"]
        assert sorted(finished) == [(0, "finished", "failed"), (1, "finished", "failed")]


class TestSeveralObjectives:
    OBJECTIVES = 'objective=["val_accuracy", "parameters", "latency_ms"]'

    def trial(self, accuracy, parameters, latency=1.5):
        summary = {"best_val_accuracy": accuracy, "parameters": parameters, "latency_ms": latency}
        return [STARTED, epoch(1, accuracy), end(**summary, best_epoch=1)]

    def test_every_value_is_reported_and_ranked(self, stage):
        trials = [self.trial(0.5, 100), self.trial(0.75, 900), self.trial(0.5, 200), failed()]
        here = stage(trials, "search.trials=4", self.OBJECTIVES)
        outcome = here.run()
        assert (outcome.best, outcome.done) == ((1, 0.75), 4)
        assert outcome.front == {1: (0.75, 900.0, 1.5), 0: (0.5, 100.0, 1.5)}
        ends = [one for one in here.display.calls if one[0] == "finished"]
        assert ends[1][3] == {"val_accuracy": 0.75, "parameters": 900, "latency_ms": 1.5}
        assert [one[5] for one in ends] == [(0, 0.5), (1, 0.75), (1, 0.75), (1, 0.75)]
        assert here.states() == ["COMPLETE"] * 3 + ["FAIL"]

    def test_trial_without_a_value_is_failed(self, stage):
        here = stage([self.trial(0.5, 100, latency=None)], "search.trials=1", self.OBJECTIVES)
        assert here.run().best is None
        assert here.reasons() == ["latency_ms is None, not a finite number"]


class TestMaxParameters:
    def test_larger_network_is_pruned_and_counted(self, stage):
        reason = "1,500 parameters, but max_parameters is 1,000"
        too_large = [end("pruned", reason, parameters=1500)]
        small = [STARTED, epoch(1, 0.5), end(best_val_accuracy=0.5, best_epoch=1, parameters=9)]
        here = stage([too_large, too_large, small], "search.trials=3", "search.max_parameters=1000")
        outcome = here.run()
        assert (outcome.rejected, outcome.done, outcome.best) == (2, 3, (2, 0.5))
        assert here.states() == ["PRUNED", "PRUNED", "COMPLETE"]
        assert here.reasons()[0] == reason


class TestNumberOfTrials:
    def test_every_final_state_counts(self, stage):
        here = stage([complete(0.5), failed(), REJECTED, complete(0.75)])
        outcome = here.run()
        assert (outcome.best, outcome.done, outcome.total, outcome.interrupted) == ((3, 0.75), 4, 4, None)
        assert here.states() == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
        assert here.reasons() == ["", "it fell", "impossible parameters: too small", ""]
        assert [one for one in here.display.calls if one[0] != "epoch"] == [
            ("begin", "example", 0, 4),
            ("finished", 0, "complete", {"val_accuracy": 0.5}, "", (0, 0.5), 1),
            ("finished", 1, "failed", {}, "it fell", (0, 0.5), 2),
            ("finished", 2, "rejected", {}, "impossible parameters: too small", (0, 0.5), 3),
            ("finished", 3, "complete", {"val_accuracy": 0.75}, "", (3, 0.75), 4),
        ]

    def test_finished_study_starts_no_trial(self, stage):
        stage([complete()]).run()
        here = stage([], "search.trials=1")
        outcome = here.run()
        assert (outcome.done, outcome.total, outcome.best) == (1, 1, (0, 0.5))
        assert here.log == []

    def test_no_more_trials_start_than_are_missing(self, stage):
        here = stage([complete(), complete(), complete()], jobs=8)
        assert here.run().done == 3
        assert here.executor.num_left == [2, 1, 0]

    def test_resumed_study_continues(self, stage):
        stage([complete(0.5), complete(0.6)]).run()
        here = stage([complete(0.4)], "search.trials=3")
        assert here.run().best == (1, 0.6)
        assert here.display.calls[0] == ("begin", "example", 2, 3)


class TestEndOfTheSearch:
    """`stage(…).run()` with a timeout that is over when the first trial starts, or with a target."""

    def test_after_the_timeout_no_trial_starts(self, stage):
        here = stage([complete(0.5), complete(0.6)], deadline=0.0)
        assert (here.run().done, here.supervisor.stopped) == (1, "timeout")

    def test_running_trials_end_with_their_epoch(self, stage, monkeypatch):
        clock = itertools.count(1)  # is read before the second trial starts, and at its first epoch
        monkeypatch.setattr(
            supervisor_module, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time)
        )
        trials = [[STARTED, epoch(1, 0.5), *complete(0.9)], [STARTED, epoch(1, 0.6), *complete(0.8)]]
        here = stage(trials, "search.trials=9", jobs=2, deadline=1.5)
        assert here.run().done == 2
        answers = [entry[1:] for entry in here.log if entry[0] == "answer"]
        assert set(answers) == {(0, "timeout"), (1, "timeout")}

    def test_last_epoch_is_not_stopped(self, stage):
        trial = [STARTED, epoch(1, 0.5, is_last=True), end(best_val_accuracy=0.5)]
        here = stage([trial], "search.trials=1", deadline=0.0)
        assert (here.run().done, here.supervisor.stopped) == (1, "")
        assert ("answer", 0, True) in here.log

    def test_new_command_starts_a_trial_again(self, stage):
        for done in (1, 2):
            here = stage([complete()], "search.trials=3", deadline=0.0)
            assert here.run().done == done

    def test_stopped_trial_is_complete_and_shown(self, stage):
        stopped = [STARTED, Finished(9.0, "complete", summary={"best_val_accuracy": 0.5}, stopped="timeout")]
        here = stage([stopped], "search.trials=2", deadline=0.0)
        here.run()
        assert here.display.calls[-1][:5] == (
            "finished",
            0,
            "complete",
            {"val_accuracy": 0.5},
            "stopped by timeout",
        )
        assert here.directory.trial(0).final_event().stopped == "timeout"

    def test_complete_trial_at_the_target_ends_the_search(self, stage):
        here = stage([complete(0.5), complete(0.9), complete(0.6)], "search.trials=3", "search.target=0.9")
        assert (here.run().done, here.supervisor.stopped) == (2, "target")
        here = stage([complete(0.6)], "search.trials=3", "search.target=0.9")
        assert (here.run().done, here.supervisor.stopped) == (2, "target")
        here = stage([complete(0.6)], "search.trials=3", "search.target=0.95")
        assert (here.run().done, here.supervisor.stopped) == (3, "")

    def test_epoch_at_the_target_ends_every_trial(self, stage):
        trials = [[STARTED, epoch(1, 0.5), *complete(0.5)], [STARTED, epoch(1, 0.9), *complete(0.9)]]
        here = stage(trials, "search.trials=9", "search.target=0.9", jobs=2)
        assert here.run().done == 2
        answers = [entry[1:] for entry in here.log if entry[0] == "answer"]
        assert (1, "target") in answers

    def test_target_of_folds_is_their_mean(self, stage):
        events = [epoch(1, value, fold=fold) for fold, value in ((1, 0.99), (2, 0.7), (2, 0.9))]
        here = stage(
            [[STARTED, *events, end(best_val_accuracy=0.9)]],
            "search.trials=1",
            "search.target=0.9",
            "validation.folds=2",
        )
        here.run()
        answers = [entry[2] for entry in here.log if entry[0] == "answer"]
        assert answers == [True, True, "target"]


class TestFailures:
    def test_three_in_a_row_stop_the_study(self, stage):
        here = stage([complete(), failed("one"), failed("two"), failed("three")], "search.trials=9")
        with pytest.raises(TooManyFailures) as stopped:
            here.run()
        assert stopped.value.exit_status == 1
        assert str(stopped.value) == (
            "3 trials in a row failed. Trial 3: three. "
            f"The output of the trials is in {here.directory.trials_dir}. "
            "Fix the cause and run the same command again; to start a new study, add --name example-2."
        )
        assert here.states() == ["COMPLETE", "FAIL", "FAIL", "FAIL"]

    def test_failures_in_plugin_code_do_not_count_and_are_retried(self, stage):
        def in_plugin(reason):
            return [STARTED, Finished(9.0, "failed", reason, is_plugin_error=True)]

        here = stage([in_plugin("one"), failed("two"), in_plugin("three")], "search.trials=3")
        with pytest.raises(TooManyFailures) as stopped:
            here.run()
        assert str(stopped.value).endswith(
            "Fix the plugin and run the same command with --accept-versions; "
            "to start a new study, add --name example-2."
        )
        assert here.search.done() == 1
        here = stage([complete(0.6), complete(0.7)], "search.trials=3")
        assert here.run().done == 3
        configs = [here.directory.trial(number).config()["training"] for number in range(5)]
        assert configs[3:] == [configs[0], configs[2]]

    def test_standalone_runs_start_no_new_study(self, stage):
        here = stage([failed("one"), failed("two"), failed("three")], "search.trials=3")
        with pytest.raises(TooManyFailures, match=r"Fix the cause and run the same command again\.$"):
            here.run(directory_of=here.directory.trial)

    def test_failures_in_plugin_code_beside_each_other_are_all_retried(self, stage):
        """The fourth has failed already when the third stops the study."""
        in_plugin = [STARTED, Finished(9.0, "failed", "it fell", is_plugin_error=True)]
        here = stage([in_plugin] * 4, "search.trials=4", jobs=4)
        with pytest.raises(TooManyFailures):
            here.run()
        assert here.search.done() == 0
        here = stage([complete(0.6)] * 4, "search.trials=4", jobs=4)
        assert here.run().done == 4
        configs = [here.directory.trial(number).config()["training"] for number in range(8)]
        assert configs[4:] == configs[:4]

    @pytest.mark.parametrize("between", [complete(), REJECTED], ids=["complete", "impossible"])
    def test_another_state_resets_the_count(self, stage, between):
        here = stage([failed(), failed(), between, failed(), failed()])
        assert here.run().done == 5

    def test_resuming_resets_the_count(self, stage):
        stage([failed(), failed()]).run()
        assert stage([failed(), complete()], "search.trials=4").run().done == 4

    def test_trials_still_running_are_interrupted(self, stage):
        here = stage([RUNNING, failed("one"), failed("two"), failed("three")], "search.trials=9", jobs=2)
        with pytest.raises(TooManyFailures):
            here.run()
        assert here.states() == ["FAIL"] * 4
        assert here.directory.trial(0).final_event().reason == "interrupted: the study was stopped"
        assert here.search.done() == 3

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.5"])
    def test_complete_trial_without_finite_objective_is_failed(self, stage, value):
        here = stage([[STARTED, end(best_val_accuracy=value)]])
        outcome = here.run()
        assert outcome.best is None
        assert here.states() == ["FAIL"]
        assert here.reasons() == [f"val_accuracy is {value!r}, not a finite number"]

    def test_complete_trial_without_objective_is_failed(self, stage):
        here = stage([[STARTED, end()]])
        here.run()
        assert here.states() == ["FAIL"]


class TestInterrupted:
    """A real SIGINT comes when no trial has an event left."""

    def test_every_running_trial_gets_a_final_state(self, stage):
        here = stage([complete(), RUNNING, RUNNING], "search.trials=9", jobs=2)
        outcome = here.run()
        assert (outcome.interrupted, outcome.done, outcome.best) == (130, 1, (0, 0.5))
        assert here.states() == ["COMPLETE", "FAIL", "FAIL"]
        assert here.reasons() == ["", "interrupted", "interrupted"]
        assert [entry for entry in here.log if entry[0] == "tracker" and entry[2] == "finished"] == [
            ("tracker", number, "finished", state)
            for number, state in enumerate(["complete", "failed", "failed"])
        ]
        assert here.executor.running == []

    def test_events_that_arrived_before_the_signal_count(self, stage):
        done, runs = [STARTED, epoch(1, 0.5), None, complete(0.75)[-1]], [*RUNNING, None, epoch(2, 0.5)]
        here = stage([done, runs], "search.trials=9", jobs=2)
        outcome = here.run()
        assert (outcome.interrupted, outcome.done, outcome.best) == (130, 1, (0, 0.75))
        assert here.states() == ["COMPLETE", "FAIL"]
        assert here.reasons() == ["", "interrupted"]
        assert ("tracker", 0, "finished", "complete") in here.log
        assert here.names(1)[1:] == ["epoch_end", "epoch_end", "finished"]

    def test_third_failure_after_the_signal_leaves_no_trial_running(self, stage):
        waiting = [[STARTED, None, end("failed", "it fell")] for _ in range(3)]
        here = stage([RUNNING, *waiting], "search.trials=9", jobs=4)
        with pytest.raises(TooManyFailures):
            here.run()
        assert here.states() == ["FAIL"] * 4
        assert here.executor.running == []

    def test_interrupted_trial_is_retried_and_does_not_count(self, stage):
        stage([complete(), RUNNING], "search.trials=3").run()
        here = stage([complete(0.7), complete(0.8)], "search.trials=3")
        assert here.run().done == 3
        again, interrupted = (here.directory.trial(number).config() for number in (2, 1))
        assert again["architecture"] == interrupted["architecture"]
        assert again["training"] == interrupted["training"]

    def test_interrupted_trials_are_not_failures_in_a_row(self, stage):
        here = stage([RUNNING] * 4, "search.trials=4", jobs=4)
        assert here.run().interrupted == 130

    def test_trial_that_cannot_start_is_not_left_running(self, stage):
        here = stage([complete(), OSError("no more processes")], "search.trials=2")
        with pytest.raises(OSError, match="no more processes"):
            here.run()
        assert here.states() == ["COMPLETE", "FAIL"]
        assert here.search.done() == 1


class TestPreparedAhead:
    def prepared(self, here):
        return [call[1:] for call in here.log if call[0] == "prepared"]

    def test_next_trial_is_prepared_while_one_runs(self, stage):
        here = stage([complete(), complete(), complete()])
        here.executor.can_prepare = True
        here.run()
        assert self.prepared(here) == [(1, 1)]
        assert here.log.index(("prepared", 1, 1)) < here.log.index(("answer", 0, True))
        assert here.executor.num_left == [2, 1, 0]

    def test_nothing_is_prepared_while_the_last_trial_runs(self, stage):
        here = stage([complete()])
        here.executor.can_prepare = True
        here.run()
        assert self.prepared(here) == []

    def test_prepared_trial_that_does_not_begin_stays_queued(self, stage):
        here = stage([RUNNING], "search.trials=3")
        here.executor.can_prepare = True
        assert here.run().interrupted == 130
        assert (self.prepared(here), here.states()) == ([(1, 1)], ["FAIL"])
        assert here.directory.numbers() == [0]
        assert {call[1] for call in here.log if call[0] == "tracker"} == {0}
        assert stage([complete()] * 3, "search.trials=3").run().done == 3
        assert here.states() == ["FAIL", *["COMPLETE"] * 3]

    def test_next_trial_is_asked_for_only_when_a_trial_starts_or_ends(self, stage):
        several = [STARTED, *[epoch(number, 0.5) for number in (1, 2, 3)], end(best_val_accuracy=0.5)]
        here, asked = stage([several, several], "search.trials=2"), []
        here.executor.can_prepare = True
        here.search.ask_ahead = lambda: asked.append(here.search.done())
        here.run()
        assert asked == [0]

    def test_target_of_a_trial_that_fails_does_not_end_the_search(self, stage):
        fails = [STARTED, epoch(1, 0.9, is_last=True), end("failed", "its model cannot be loaded")]
        here = stage([fails, complete(0.5)], "search.trials=2", "search.target=0.8")
        here.executor.can_prepare = True
        assert here.run().done == 2
        assert here.supervisor.stopped == ""

    def test_reached_target_stops_a_prepared_trial(self, stage):
        here = stage([complete(0.9)], "search.trials=3", "search.target=0.8")
        here.executor.can_prepare = True
        stopped = []
        here.executor.stop_all = lambda: stopped.append(True) or []
        assert here.run().done == 1
        assert stopped
