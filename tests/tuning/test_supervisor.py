"""The supervisor's loop, with stand-ins for the processes, MLflow and the terminal."""

from __future__ import annotations

import os
import signal
from collections import deque

import pytest

from zoo.tuning.display import NoDisplay
from zoo.tuning.executor import ended
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.record import StudyRecord
from zoo.tuning.supervisor import Supervisor, TooManyFailures

optuna = pytest.importorskip("optuna")

STARTED = {"event": "started", "time": 1.0, "device": "cpu", "backend": "tensorflow", "parameters": 9}


def epoch(number, value):
    return {"event": "epoch", "time": 1.0 + number, "epoch": number, "metrics": {"val_accuracy": value}}


def end(state="complete", reason="", **summary):
    return {"event": "finished", "time": 9.0, "state": state, "reason": reason, "summary": summary}


def complete(value=0.5):
    return [STARTED, epoch(1, value), end(best_val_accuracy=value, best_epoch=1)]


def failed(reason="it fell"):
    return [STARTED, end("failed", reason)]


IMPOSSIBLE = [end("pruned", "impossible parameters: too small")]
RUNS_ON = [STARTED, epoch(1, 0.5)]  # and has nothing more to say


class FakeExecutor:
    """Trials that say what they were given to say; `None` among it is where a signal comes."""

    def __init__(self, trials, log, jobs=1):
        self.jobs = jobs
        self._trials = deque(trials)
        self._log = log
        self._saying = {}

    @property
    def running(self):
        return list(self._saying)

    @property
    def free(self):
        return self.jobs - len(self._saying)

    def start(self, number, config, cache, folder):
        script = self._trials.popleft()
        if isinstance(script, BaseException):
            raise script
        self._saying[number] = deque(script)

    def wait(self, timeout):
        ready = [number for number, script in self._saying.items() if script and script[0] is not None]
        if not ready and timeout:
            for script in self._saying.values():
                if script and script[0] is None:  # behind it is what was said in the meantime
                    script.popleft()
            os.kill(os.getpid(), signal.SIGINT)
        return ready

    def read(self, number):
        event = self._saying[number].popleft()
        if event["event"] == "finished":
            del self._saying[number]
        return event

    def answer(self, number, go_on):
        self._log.append(("answer", number, go_on))
        if not go_on:
            self._saying[number] = deque([end("pruned", "pruned after epoch 1", best_val_accuracy=0.1)])

    def stop_all(self):
        stopped = self.running
        self._saying.clear()
        return stopped


class Tracker:
    def __init__(self, log):
        self._log = log

    def put(self, number, config, event, folder):
        self._log.append(("tracker", number, event["event"], event.get("state")))
        assert config["digest"]
        assert folder.name == f"{number:03d}"


class Display(NoDisplay):
    def __init__(self):
        self.said = []

    def begin(self, study, objectives, done, total):
        self.said.append(("begin", study, done, total))

    def progress(self, number, epoch, fraction, fold=1):
        self.said.append(("progress", number, fold, epoch, fraction))

    def epoch(self, number, epoch, metrics, fold=1):
        self.said.append(("epoch", number, fold, epoch))

    def finished(self, number, state, values, reason, best, done):
        self.said.append(("finished", number, state, values, reason, best, done))


class Stage:
    """A supervisor of the example study and everything around it."""

    def __init__(self, definition, search, folder, trials, jobs=1):
        self.log = []
        self.display = Display()
        self.record = StudyRecord(folder, definition.name)
        self.search = search
        self.executor = FakeExecutor(trials, self.log, jobs)
        self.supervisor = Supervisor(
            definition, search, self.record, self.executor, Tracker(self.log), self.display
        )

    def run(self):
        with Interrupts() as interrupts:
            return self.supervisor.run(interrupts)

    def states(self):
        return [trial.state.name for trial in self.search._study.trials if trial.state.name != "WAITING"]

    def reasons(self):
        return [self.record.trial(number).finished()["reason"] for number in range(len(self.states()))]


@pytest.fixture
def stage(define, open_search, tmp_path, monkeypatch):
    """stage([complete(), failed()], "search.trials=2") -> a supervisor with two trials to run.

    Every one in a test goes on with the same study, which is in memory: files have their own tests.
    """
    storage = optuna.storages.InMemoryStorage()
    monkeypatch.setattr("zoo.tuning.search._open_storage", lambda *_: storage)

    def make(trials, *overrides, jobs=1):
        overrides = overrides or (f"search.trials={len(trials)}",)
        return Stage(define(*overrides), open_search(*overrides), tmp_path, trials, jobs)

    return make


class TestTheWayOfAnEvent:
    def test_is_the_file_then_optuna_then_the_trial_then_the_tracker(self, stage, monkeypatch):
        here = stage([complete(0.5)])
        log, search, record = here.log, here.search, here.record

        def watch(name):
            method = getattr(search, name)

            def watched(number, *rest, **keywords):
                log.append((name, number, record.trial(number).events()[-1]["event"]))
                return method(number, *rest, **keywords)

            monkeypatch.setattr(search, name, watched)

        watch("report")
        watch("tell")
        here.run()
        assert log == [
            ("tracker", 0, "started", None),
            ("report", 0, "epoch"),  # it is in the file already
            ("answer", 0, True),
            ("tracker", 0, "epoch", None),
            ("tell", 0, "finished"),
            ("tracker", 0, "finished", "complete"),
        ]

    def test_progress_is_only_shown(self, stage):
        progress = {"event": "progress", "epoch": 1, "fraction": 0.5}
        here = stage([[STARTED, progress, *complete()[1:]]])
        here.run()
        assert ("progress", 0, 1, 1, 0.5) in here.display.said
        assert [event["event"] for event in here.record.trial(0).events()] == ["started", "epoch", "finished"]
        assert all(entry[2] != "progress" for entry in here.log)

    def test_what_a_trial_trains_is_written_before_it_starts(self, stage, monkeypatch):
        here = stage([complete()])
        start = here.executor.start
        seen = []

        def watched(number, config, cache, folder):
            seen.append(here.record.trial(number).config() == config.as_json())
            start(number, config, cache, folder)

        monkeypatch.setattr(here.executor, "start", watched)
        here.run()
        assert seen == [True]

    def test_a_trial_that_falls_behind_is_told_to_stop(self, stage):
        good = [STARTED, epoch(1, 0.9), epoch(2, 0.9), end(best_val_accuracy=0.9, best_epoch=1)]
        bad = [STARTED, epoch(1, 0.1), epoch(2, 0.1), *[epoch(number, 0.1) for number in range(3, 9)]]
        here = stage([good, good, good, good, bad], "search.trials=5", "search.pruner=median")
        here.run()
        assert here.log.count(("answer", 4, False)) == 1
        assert here.states()[4] == "PRUNED"
        assert len([event for event in here.record.trial(4).events() if event["event"] == "epoch"]) == 2

    def test_the_pruner_judges_by_the_best_so_far_for_that_is_the_result(self, stage, monkeypatch):
        here = stage([[STARTED, epoch(1, 0.9), epoch(2, 0.5), end(best_val_accuracy=0.9, best_epoch=1)]])
        heard = []
        monkeypatch.setattr(here.search, "report", lambda *report: heard.append(report) or True)
        here.run()
        assert heard == [(0, 1, 0.9), (0, 2, 0.9)]

    def test_after_its_last_epoch_no_trial_is_pruned(self, stage, monkeypatch):
        """There would be nothing left to save."""
        last = [STARTED, {**epoch(2, 0.5), "last": True}, end(best_val_accuracy=0.5, best_epoch=2)]
        here = stage([last, RUNS_ON], "search.trials=2")
        monkeypatch.setattr(here.search, "report", lambda *report: False)
        here.run()
        assert [entry[1:] for entry in here.log if entry[0] == "answer"] == [(0, True), (1, False)]
        assert here.states() == ["COMPLETE", "PRUNED"]


class TestFolds:
    OVERRIDES = ("search.trials=1", "training.epochs=3", "validation.folds=3")

    def in_fold(self, fold, *values):
        return [{**epoch(number, value), "fold": fold} for number, value in enumerate(values, start=1)]

    def trial(self, *folds):
        events = [
            event for fold, values in enumerate(folds, start=1) for event in self.in_fold(fold, *values)
        ]
        return [STARTED, *events, end(best_val_accuracy=0.5, best_fold=1, best_epoch=1)]

    def heard(self, stage, monkeypatch, trial, *more, goes_on=True):
        here = stage([trial], *self.OVERRIDES, *more)
        reports = []
        monkeypatch.setattr(here.search, "report", lambda *report: reports.append(report) or goes_on)
        here.run()
        return here, [(step, pytest.approx(value)) for _, step, value in reports]

    def test_the_pruner_hears_the_mean_of_the_best_of_each(self, stage, monkeypatch):
        trial = self.trial((0.4, 0.6, 0.5), (0.2, 0.4, 0.8), (0.1, 0.1, 0.4))
        _, heard = self.heard(stage, monkeypatch, trial)
        assert heard == [
            *[(1, 0.4), (2, 0.6), (3, 0.6)],
            *[(4, (0.6 + 0.2) / 2), (5, (0.6 + 0.4) / 2), (6, (0.6 + 0.8) / 2)],
            *[(7, (0.6 + 0.8 + 0.1) / 3), (8, (0.6 + 0.8 + 0.1) / 3), (9, (0.6 + 0.8 + 0.4) / 3)],
        ]

    def test_a_fold_that_ended_early_leaves_the_points_of_the_next_where_they_are(self, stage, monkeypatch):
        _, heard = self.heard(stage, monkeypatch, self.trial((0.5,), (0.5, 0.5, 0.5), (0.5,)))
        assert [step for step, _ in heard] == [1, 4, 5, 6, 7]

    def test_where_the_number_of_epochs_is_searched_the_most_there_may_be_counts(self, stage, monkeypatch):
        trial = self.trial((0.5, 0.5), (0.5,), (0.5,))
        _, heard = self.heard(stage, monkeypatch, trial, "training.epochs={ low = 2, high = 10 }")
        assert [step for step, _ in heard] == [1, 2, 11, 21]

    def test_the_least_is_best_where_that_is_the_objective(self, stage, monkeypatch):
        def losses(fold, *values):
            return [
                {**event, "metrics": {"val_loss": value}}
                for event, value in zip(self.in_fold(fold, *values), values, strict=True)
            ]

        trial = [STARTED, *losses(1, 0.5, 0.9), *losses(2, 0.7, 0.3), end(best_val_loss=0.4, best_epoch=1)]
        _, heard = self.heard(stage, monkeypatch, trial, "objective=val_loss")
        assert [value for _, value in heard] == [0.5, 0.5, 0.6, 0.4]

    def test_the_display_hears_of_the_fold(self, stage):
        progress = {"event": "progress", "fold": 2, "epoch": 1, "fraction": 0.5}
        trial = self.trial((0.5,), (0.5,))
        here = stage([[*trial[:2], progress, *trial[2:]]], *self.OVERRIDES)
        here.run()
        told = [one for one in here.display.said if one[0] in ("progress", "epoch")]
        assert told == [("epoch", 0, 1, 1), ("progress", 0, 2, 1, 0.5), ("epoch", 0, 2, 1)]

    def test_one_that_falls_behind_in_a_later_fold_is_told_to_stop(self, stage):
        good = self.trial((0.9, 0.9, 0.9), (0.9, 0.9, 0.9), (0.9, 0.9, 0.9))
        bad = self.trial((0.9, 0.9, 0.95), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
        pruning = ("search.trials=5", "search.pruner=median", *self.OVERRIDES[1:])
        here = stage([good] * 4 + [bad], *pruning)
        here.run()
        assert here.states() == ["COMPLETE"] * 4 + ["PRUNED"]
        epochs = [event for event in here.record.trial(4).events() if event["event"] == "epoch"]
        assert [(event["fold"], event["epoch"]) for event in epochs][-1] == (2, 1)


class TestSeveralObjectives:
    OBJECTIVES = 'objective=["val_accuracy", "parameters", "latency_ms"]'

    def trial(self, accuracy, parameters, latency=1.5):
        summary = {"best_val_accuracy": accuracy, "parameters": parameters, "latency_ms": latency}
        return [STARTED, epoch(1, accuracy), end(**summary, best_epoch=1)]

    def test_every_value_is_told_shown_and_on_the_front_or_not(self, stage):
        trials = [self.trial(0.5, 100), self.trial(0.75, 900), self.trial(0.5, 200), failed()]
        here = stage(trials, "search.trials=4", self.OBJECTIVES)
        outcome = here.run()
        assert (outcome.best, outcome.done) == ((1, 0.75), 4)
        assert outcome.front == {1: (0.75, 900.0, 1.5), 0: (0.5, 100.0, 1.5)}
        ends = [one for one in here.display.said if one[0] == "finished"]
        assert ends[1][3] == {"val_accuracy": 0.75, "parameters": 900, "latency_ms": 1.5}
        assert [one[5] for one in ends] == [(0, 0.5), (1, 0.75), (1, 0.75), (1, 0.75)]
        assert here.states() == ["COMPLETE"] * 3 + ["FAIL"]

    def test_a_trial_that_lacks_one_is_failed(self, stage):
        here = stage([self.trial(0.5, 100, latency=None)], "search.trials=1", self.OBJECTIVES)
        assert here.run().best is None
        assert here.reasons() == ["latency_ms is None, not a finite number"]

    def test_what_a_killed_supervisor_left_is_put_in_order(self, stage):
        here = stage([], "search.trials=2", self.OBJECTIVES)
        for _ in range(2):
            asked = here.search.ask()
            here.record.trial(asked.number).begin(asked.config.as_json())
        here.record.trial(0).append(self.trial(0.5, 100)[-1])
        here = stage([self.trial(0.75, 50)], "search.trials=2", self.OBJECTIVES)
        assert here.supervisor.reconcile() == [0, 1]
        assert here.run().front == {2: (0.75, 50.0, 1.5)}


class TestABudgetOfParameters:
    def test_a_network_over_it_counts_and_is_counted(self, stage):
        reason = "1,500 parameters, but max_parameters is 1,000"
        too_large = [end("pruned", reason, parameters=1500)]
        small = [STARTED, epoch(1, 0.5), end(best_val_accuracy=0.5, best_epoch=1, parameters=9)]
        here = stage([too_large, too_large, small], "search.trials=3", "search.max_parameters=1000")
        outcome = here.run()
        assert (outcome.rejected, outcome.done, outcome.best) == (2, 3, (2, 0.5))
        assert here.states() == ["PRUNED", "PRUNED", "COMPLETE"]
        assert here.reasons()[0] == reason


class TestTheNumberOfTrials:
    def test_counts_what_came_to_an_end_of_its_own(self, stage):
        here = stage([complete(0.5), failed(), IMPOSSIBLE, complete(0.75)])
        outcome = here.run()
        assert (outcome.best, outcome.done, outcome.total, outcome.interrupted) == ((3, 0.75), 4, 4, None)
        assert here.states() == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
        assert here.reasons() == ["", "it fell", "impossible parameters: too small", ""]
        assert [one for one in here.display.said if one[0] != "epoch"] == [
            ("begin", "example", 0, 4),
            ("finished", 0, "complete", {"val_accuracy": 0.5}, "", (0, 0.5), 1),
            ("finished", 1, "failed", {}, "it fell", (0, 0.5), 2),
            ("finished", 2, "pruned", {}, "impossible parameters: too small", (0, 0.5), 3),
            ("finished", 3, "complete", {"val_accuracy": 0.75}, "", (3, 0.75), 4),
        ]

    def test_a_finished_study_starts_nothing(self, stage):
        stage([complete()]).run()
        here = stage([], "search.trials=1")
        outcome = here.run()
        assert (outcome.done, outcome.total, outcome.best) == (1, 1, (0, 0.5))
        assert here.log == []

    def test_never_are_more_started_than_are_missing(self, stage):
        here = stage([complete(), complete(), complete()], jobs=8)
        assert here.run().done == 3

    def test_a_study_goes_on_where_it_was(self, stage):
        stage([complete(0.5), complete(0.6)]).run()
        here = stage([complete(0.4)], "search.trials=3")
        assert here.run().best == (1, 0.6)
        assert here.display.said[0] == ("begin", "example", 2, 3)


class TestFailures:
    def test_three_in_a_row_stop_the_study_and_say_why(self, stage):
        here = stage([complete(), failed("one"), failed("two"), failed("three")], "search.trials=9")
        with pytest.raises(TooManyFailures) as stopped:
            here.run()
        assert stopped.value.exit_status == 1
        assert str(stopped.value) == (
            "3 trials in a row failed, the last because: three. "
            f"What the trials printed is in {here.record.folder / 'trials'}; "
            "when it is put right, the same command goes on, or begin afresh with --name example-2"
        )
        assert here.states() == ["COMPLETE", "FAIL", "FAIL", "FAIL"]

    @pytest.mark.parametrize("between", [complete(), IMPOSSIBLE], ids=["complete", "impossible"])
    def test_one_that_did_not_fail_begins_the_count_anew(self, stage, between):
        here = stage([failed(), failed(), between, failed(), failed()])
        assert here.run().done == 5

    def test_a_new_run_of_the_study_begins_the_count_anew(self, stage):
        stage([failed(), failed()]).run()
        assert stage([failed(), complete()], "search.trials=4").run().done == 4

    def test_the_trials_that_ran_besides_are_interrupted_not_failed(self, stage):
        here = stage([RUNS_ON, failed("one"), failed("two"), failed("three")], "search.trials=9", jobs=2)
        with pytest.raises(TooManyFailures):
            here.run()
        assert here.states() == ["FAIL"] * 4
        assert here.record.trial(0).finished()["reason"] == "interrupted: the study was stopped"
        assert here.search.done() == 3

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.5"])
    def test_complete_without_a_finite_objective_is_failed(self, stage, value):
        here = stage([[STARTED, end(best_val_accuracy=value)]])
        outcome = here.run()
        assert outcome.best is None
        assert here.states() == ["FAIL"]
        assert here.reasons() == [f"val_accuracy is {value!r}, not a finite number"]

    def test_complete_without_any_objective_is_failed(self, stage):
        here = stage([[STARTED, end()]])
        here.run()
        assert here.states() == ["FAIL"]


class TestInterrupted:
    """The executor of these tests sends a real SIGINT when its trials have nothing more to say."""

    def test_every_running_trial_gets_its_final_state(self, stage):
        here = stage([complete(), RUNS_ON, RUNS_ON], "search.trials=9", jobs=2)
        outcome = here.run()
        assert (outcome.interrupted, outcome.done, outcome.best) == (130, 1, (0, 0.5))
        assert here.states() == ["COMPLETE", "FAIL", "FAIL"]
        assert here.reasons() == ["", "interrupted", "interrupted"]
        assert [entry for entry in here.log if entry[0] == "tracker" and entry[2] == "finished"] == [
            ("tracker", number, "finished", state)
            for number, state in enumerate(["complete", "failed", "failed"])
        ]
        assert here.executor.running == []

    def test_what_a_trial_has_said_already_still_counts(self, stage):
        done, runs = [STARTED, epoch(1, 0.5), None, complete(0.75)[-1]], [*RUNS_ON, None, epoch(2, 0.5)]
        here = stage([done, runs], "search.trials=9", jobs=2)
        outcome = here.run()
        assert (outcome.interrupted, outcome.done, outcome.best) == (130, 1, (0, 0.75))
        assert here.states() == ["COMPLETE", "FAIL"]
        assert here.reasons() == ["", "interrupted"]
        assert ("tracker", 0, "finished", "complete") in here.log
        assert [event["event"] for event in here.record.trial(1).events()][1:] == [
            "epoch",
            "epoch",
            "finished",
        ]

    def test_a_third_failure_among_that_leaves_no_trial_running(self, stage):
        waiting = [[STARTED, None, end("failed", "it fell")] for _ in range(3)]
        here = stage([RUNS_ON, *waiting], "search.trials=9", jobs=4)
        with pytest.raises(TooManyFailures):
            here.run()
        assert here.states() == ["FAIL"] * 4
        assert here.executor.running == []

    def test_what_was_interrupted_is_run_again_and_does_not_count(self, stage):
        stage([complete(), RUNS_ON], "search.trials=3").run()
        here = stage([complete(0.7), complete(0.8)], "search.trials=3")
        assert here.run().done == 3
        again, interrupted = (here.record.trial(number).config() for number in (2, 1))
        assert again["architecture"] == interrupted["architecture"]
        assert again["training"] == interrupted["training"]

    def test_interrupted_trials_are_no_failures_in_a_row(self, stage):
        here = stage([RUNS_ON] * 4, "search.trials=4", jobs=4)
        assert here.run().interrupted == 130

    def test_a_trial_that_cannot_be_started_is_not_left_running(self, stage):
        here = stage([complete(), OSError("no more processes")], "search.trials=2")
        with pytest.raises(OSError, match="no more processes"):
            here.run()
        assert here.states() == ["COMPLETE", "FAIL"]
        assert here.search.done() == 1


class TestReconcile:
    """What a supervisor left behind that was killed."""

    @pytest.fixture
    def killed(self, stage):
        """One that died with trials 1 and 2 running."""
        here = stage([], "search.trials=4", jobs=2)
        for _ in range(3):
            asked = here.search.ask()
            here.record.trial(asked.number).begin(asked.config.as_json())
        here.search.tell(0, "complete", 0.5, "")
        here.record.trial(1).append(STARTED)
        return here

    def test_a_trial_without_an_end_was_interrupted(self, killed, stage):
        here = stage([complete(0.6), complete(0.7), complete(0.8)], "search.trials=4")
        assert here.supervisor.reconcile() == [1, 2]
        assert here.states() == ["COMPLETE", "FAIL", "FAIL"]
        assert [here.record.trial(number).finished()["reason"] for number in (1, 2)] == [
            "interrupted: its supervisor was killed"
        ] * 2
        assert here.run().done == 4
        configs = [here.record.trial(number).config()["training"] for number in range(6)]
        assert configs[3:5] == configs[1:3]
        assert configs[5] not in configs[:5]

    def test_a_trial_whose_end_is_in_its_file_gets_that(self, killed, stage):
        killed.record.trial(1).append(end(best_val_accuracy=0.9))
        killed.record.trial(2).append(ended("failed", "killed by signal 9"))
        here = stage([complete(0.6)], "search.trials=4")
        here.supervisor.reconcile()
        assert here.states() == ["COMPLETE", "COMPLETE", "FAIL"]
        assert here.search.done() == 3
        assert here.run().best == (1, 0.9)

    def test_a_line_that_was_cut_off_is_no_end(self, killed, stage):
        path = killed.record.trial(1).events_path
        path.write_bytes(path.read_bytes() + b'{"event": "finished", "time": 9.0, "sta')
        here = stage([], "search.trials=4")
        here.supervisor.reconcile()
        assert here.record.trial(1).finished()["interrupted"]

    def test_a_trial_without_a_folder_is_no_obstacle(self, killed, stage):
        (killed.record.trial(2).folder / "config.json").unlink()
        killed.record.trial(2).folder.rmdir()
        here = stage([], "search.trials=4")
        assert here.supervisor.reconcile() == [1, 2]
        assert here.record.trial(2).finished()["interrupted"]

    def test_there_is_nothing_to_do_after_a_good_end(self, stage):
        stage([complete()]).run()
        assert stage([], "search.trials=1").supervisor.reconcile() == []
