"""The Optuna study of a study, opened several times."""

from __future__ import annotations

import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tuning_examples import DIGEST, MANIFEST

from zoo.errors import ManifestError, ZooError
from zoo.events import EpochEnd, Finished
from zoo.record import StudyDirectory
from zoo.study import SAMPLERS
from zoo.tuning.recorded_search import total_importances
from zoo.tuning.storage import default_storage, open_storage

optuna = pytest.importorskip("optuna")

COMPLETE, PRUNED, FAIL = (
    optuna.trial.TrialState.COMPLETE,
    optuna.trial.TrialState.PRUNED,
    optuna.trial.TrialState.FAIL,
)


def stored(url, name="example"):
    """The trials as Optuna itself reads them."""
    return optuna.load_study(study_name=name, storage=url).trials


def complete(*values, **summary):
    """The final event of a complete trial: an accuracy (and the same loss), and a number of parameters."""
    values = dict(zip(("best_val_accuracy", "parameters"), values, strict=False))
    return Finished(9.0, "complete", "", {"best_val_loss": values["best_val_accuracy"], **values, **summary})


def failed(reason="it fell"):
    return Finished(9.0, "failed", reason)


def pruned(reason="", **summary):
    return Finished(9.0, "pruned", reason, summary)


INTERRUPTED = Finished(9.0, "failed", "interrupted", is_interrupted=True)


def epoch(number, value, **fields):
    return EpochEnd(1.0, number, {"val_accuracy": value, "val_loss": value}, **fields)


def run(search, value=0.5):
    """Run one trial to its end."""
    trial = search.ask()
    search.tell(trial.number, complete(value))
    return trial


def ask_after_good_trials(search):
    """Complete four trials of two epochs, value 0.9; start another and return its number."""
    for _ in range(4):
        number = search.ask().number
        for one in (1, 2):
            search.report(number, epoch(one, 0.9))
        search.tell(number, complete(0.9))
    return search.ask().number


class TestOpening:
    def test_trial_0_is_the_baseline(self, define, open_search):
        trial = open_search().ask()
        definition = define()
        assert trial.number == 0
        assert trial.config == definition.baseline(DIGEST, definition.seed_of(0))

    def test_baseline_is_the_same_for_every_sampler(self, define, open_search):
        for position, sampler in enumerate(name for name in SAMPLERS if name not in ("gp", "grid")):
            definition = define(f"search.sampler={sampler}", name=f"example-{position}")
            trial = open_search(f"search.sampler={sampler}", name=definition.name).ask()
            assert trial.config == definition.baseline(DIGEST, definition.seed_of(0))

    def test_queued_baseline_survives_a_restart(self, define, open_search):
        open_search()
        assert open_search().ask().config.training["learning_rate"] == 1e-3
        assert open_search().ask().config != define().baseline(DIGEST, define().seed_of(1))

    @pytest.mark.parametrize("died_before", ["zoo.uid", "zoo.manifest"])
    def test_study_killed_while_it_was_created_opens(
        self, define, open_search, storage, monkeypatch, died_before
    ):
        whole = optuna.Study.set_user_attr

        def dies(self, key, value):
            if key == died_before:
                raise KeyboardInterrupt
            whole(self, key, value)

        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "set_user_attr", dies)
            with pytest.raises(KeyboardInterrupt):
                open_search()
        search = open_search()
        assert [search.ask().config.training["learning_rate"] == 1e-3 for _ in range(2)] == [True, False]
        assert search.uid()

    def test_every_trial_has_its_own_seed_and_uid(self, open_search):
        search = open_search()
        seeds = {search.ask().config.seed for _ in range(4)}
        assert len(seeds) == 4
        assert open_search().uid() == search.uid()

    def test_study_of_another_program_is_refused(self, open_search, storage):
        theirs = optuna.create_study(study_name="example", storage=storage)
        theirs.tell(theirs.ask(), 0.5)
        with pytest.raises(ZooError, match=r"was not made by zoo\. .* with --name example-2"):
            open_search()
        assert len(stored(storage)) == 1

    def test_changed_study_is_refused_and_unchanged(self, open_search, storage):
        run(open_search(manifest={**MANIFEST, "seed": 0}))
        with pytest.raises(ManifestError, match="seed: was 0, is 1"):
            open_search(manifest={**MANIFEST, "seed": 1})
        study = optuna.load_study(study_name="example", storage=storage)
        assert json.loads(study.user_attrs["zoo.manifest"])["seed"] == 0
        assert len(study.trials) == 1

    def test_study_without_run_trials_may_change(self, define, open_search, storage):
        """As after MLflow did not answer: the next attempt may be another study."""
        before = open_search(manifest={**MANIFEST, "seed": 0})
        objective = 'objective=["val_loss", "parameters"]'
        changed = ("training.learning_rate=0.02", objective)
        search = open_search(*changed, manifest={**MANIFEST, "seed": 1})
        assert search.uid() == before.uid()  # MLflow may know it already
        study = optuna.load_study(study_name="example", storage=storage)
        assert json.loads(study.user_attrs["zoo.manifest"])["seed"] == 1
        assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
        definition = define(*changed)
        assert search.ask().config == definition.baseline(DIGEST, definition.seed_of(0))
        assert len(study.trials) == 1

    def test_accepted_versions_replace_the_stored_ones(self, open_search):
        old, new = ({**MANIFEST, "plugins": {"zoo-odd": version}} for version in ("1.0", "2.0"))
        run(open_search(manifest=old))
        open_search(manifest=new, accept_versions=True)
        open_search(manifest=new)
        with pytest.raises(ManifestError, match=r'was "2\.0", is "1\.0"'):
            open_search(manifest=old)

    @pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense://here", "sqlite:///"])
    def test_unusable_storage_is_one_line(self, open_search, url, tmp_path):
        if url == "sqlite:///":
            (tmp_path / "text.db").write_text("not a database, but long enough to be looked at " * 9)
            url += str(tmp_path / "text.db")
        with pytest.raises(ZooError) as refused:
            open_search(url=url)
        assert str(refused.value).startswith(f"cannot open the Optuna storage {url}: ")
        assert "\n" not in str(refused.value)
        assert str(refused.value).endswith("--storage sqlite:///optuna.db, or remove --storage.")

    @pytest.mark.parametrize("character", "?#%")
    def test_path_with_url_characters_is_refused(self, tmp_path, character):
        with pytest.raises(ZooError, match="Run zoo in another folder"):
            default_storage(tmp_path / f"what{character}")
        assert default_storage(tmp_path) == f"sqlite:///{tmp_path}/mlruns/optuna.db"


class TestCounting:
    def test_number_of_trials_is_the_total(self, open_search):
        first = open_search("search.trials=3")
        assert (first.done(), first.total()) == (0, 3)
        run(first)
        run(first)
        again = open_search("search.trials=3")
        assert (again.done(), again.total()) == (2, 3)
        longer = open_search("search.trials=5")
        assert (longer.done(), longer.total()) == (2, 5)

    def test_every_final_state_counts_and_is_in_optuna(self, open_search, storage):
        search = open_search()
        ends = [complete(0.5), pruned("impossible parameters"), failed()]
        for end in ends:
            search.tell(search.ask().number, end)
        search.ask()  # runs still
        assert search.done() == 3
        trials = stored(storage)
        assert [trial.state for trial in trials[:3]] == [COMPLETE, PRUNED, FAIL]
        assert [trial.value for trial in trials[:3]] == [0.5, None, None]
        assert [trial.user_attrs.get("zoo.reason") for trial in trials[:3]] == [
            None,
            *(end.reason for end in ends[1:]),
        ]

    def test_grid_may_have_fewer_points_than_trials(self, open_search):
        fixed = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.momentum=0.9"]
        fixed += ["training.optimizer=sgd", "search.sampler=grid", "search.trials=50"]
        search = open_search(*fixed)
        assert search.total() == 6
        points = [run(search).config.architecture.parameters["filters"] for _ in range(3)]
        search = open_search(*fixed)  # resumes the study
        points += [run(search).config.architecture.parameters["filters"] for _ in range(3)]
        assert sorted(points) == [(8,), (8, 8), (8, 16), (16,), (16, 8), (16, 16)]
        assert search.done() == search.total()

    def test_concurrent_grid_points_differ(self, open_search):
        fixed = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.optimizer=adam"]
        search = open_search(*fixed, "search.sampler=grid")
        trial = [search.ask().config.architecture.parameters["filters"] for _ in range(6)]
        assert len(set(trial)) == 6

    def test_grid_uses_the_steps_of_the_range(self, open_search):
        fixed = ["architecture.filters=[8]", "training.learning_rate=0.01", "training.optimizer=adam"]
        search = open_search(
            *fixed, "architecture.dropout={ low = 0.1, high = 0.5, step = 0.2 }", "search.sampler=grid"
        )
        drops = sorted(run(search).config.architecture.parameters["dropout"] for _ in range(search.total()))
        assert drops == [0.1, 0.3, 0.5]

    @pytest.mark.parametrize(("objective", "best"), [("val_accuracy", (2, 0.75)), ("val_loss", (1, 0.25))])
    def test_best_is_the_first_of_equal_complete_trials(self, open_search, objective, best):
        search = open_search(f"objective={objective}")
        assert search.best() is None
        for value in (0.5, 0.25, 0.75, 0.75, 0.25):
            run(search, value)
        search.tell(search.ask().number, failed())
        number = search.ask().number
        search.report(number, epoch(1, 0.99 if objective == "val_accuracy" else 0.01))
        search.tell(number, pruned())
        assert search.best() == best
        assert search.values() == {0: (0.5,), 1: (0.25,), 2: (0.75,), 3: (0.75,), 4: (0.25,)}
        equal = {2: (0.75,), 3: (0.75,)} if objective == "val_accuracy" else {1: (0.25,), 4: (0.25,)}
        assert search.front() == equal


class TestReport:
    def test_steps_start_at_1(self, open_search, storage):
        search = open_search()
        number = search.ask().number
        assert search.report(number, epoch(1, 0.25))
        assert search.report(number, epoch(2, 0.5))
        search.tell(number, complete(0.5))
        assert stored(storage)[0].intermediate_values == {1: 0.25, 2: 0.5}

    def test_trial_far_behind_is_pruned(self, open_search):
        search = open_search("search.pruner=median")
        number = ask_after_good_trials(search)
        assert [search.report(number, epoch(one, 0.1)) for one in (1, 2)] == [True, False]


class TestPruning:
    """Reports to the pruner: the best value so far, with folds the mean over them."""

    FOLDS = ("training.epochs=3", "validation.folds=3")

    def reports(self, open_search, storage, epochs, *overrides):
        """Report `epochs` of one trial; return what Optuna then holds, by step."""
        search = open_search(*overrides)
        number = search.ask().number
        for event in epochs:
            search.report(number, event)
        return {step: pytest.approx(value) for step, value in stored(storage)[0].intermediate_values.items()}

    def in_folds(self, *folds):
        return [
            epoch(number, value, fold=fold)
            for fold, values in enumerate(folds, start=1)
            for number, value in enumerate(values, start=1)
        ]

    def test_best_value_so_far_is_reported(self, open_search, storage):
        assert self.reports(open_search, storage, [epoch(1, 0.9), epoch(2, 0.5)]) == {1: 0.9, 2: 0.9}

    def test_lowest_loss_so_far_is_reported(self, open_search, storage):
        epochs = self.in_folds((0.5, 0.9), (0.7, 0.3))
        reports = self.reports(open_search, storage, epochs, "objective=val_loss", *self.FOLDS)
        assert reports == {1: 0.5, 2: 0.5, 4: 0.6, 5: 0.4}

    def test_mean_of_the_best_of_each_fold_is_reported(self, open_search, storage):
        epochs = self.in_folds((0.4, 0.6, 0.5), (0.2, 0.4, 0.8), (0.1, 0.1, 0.4))
        assert self.reports(open_search, storage, epochs, *self.FOLDS) == {
            **{1: 0.4, 2: 0.6, 3: 0.6},
            **{4: (0.6 + 0.2) / 2, 5: (0.6 + 0.4) / 2, 6: (0.6 + 0.8) / 2},
            **{7: (0.6 + 0.8 + 0.1) / 3, 8: (0.6 + 0.8 + 0.1) / 3, 9: (0.6 + 0.8 + 0.4) / 3},
        }

    def test_fold_that_ended_early_keeps_later_steps(self, open_search, storage):
        epochs = self.in_folds((0.5,), (0.5, 0.5, 0.5), (0.5,))
        assert list(self.reports(open_search, storage, epochs, *self.FOLDS)) == [1, 4, 5, 6, 7]

    def test_maximum_of_searched_epochs_sets_the_steps(self, open_search, storage):
        epochs = self.in_folds((0.5, 0.5), (0.5,), (0.5,))
        overrides = ("training.epochs={ low = 2, high = 10 }", "validation.folds=3")
        assert list(self.reports(open_search, storage, epochs, *overrides)) == [1, 2, 11, 21]

    def test_trial_that_falls_behind_in_a_later_fold_is_pruned(self, open_search):
        search = open_search("search.pruner=median", *self.FOLDS)
        for _ in range(4):
            number = search.ask().number
            for event in self.in_folds((0.9,) * 3, (0.9,) * 3, (0.9,) * 3):
                assert search.report(number, event)
            search.tell(number, complete(0.9))
        number = search.ask().number
        answers = [search.report(number, event) for event in self.in_folds((0.9, 0.9, 0.95), (0.1,))]
        assert answers == [True, True, True, False]

    def test_no_trial_is_pruned_after_its_last_epoch(self, open_search):
        search = open_search("search.pruner=median")
        number = ask_after_good_trials(search)
        assert search.report(number, epoch(1, 0.1))
        assert search.report(number, epoch(2, 0.1, is_last=True))


class TestSeveralObjectives:
    OVERRIDES = ('objective=["val_accuracy", "parameters"]',)

    def test_optuna_gets_every_objective_and_direction(self, open_search, storage):
        search = open_search(*self.OVERRIDES)
        for values in ((0.5, 100), (0.75, 900)):
            search.tell(search.ask().number, complete(*values))
        study = optuna.load_study(study_name="example", storage=storage)
        assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        assert [trial.values for trial in study.trials] == [[0.5, 100.0], [0.75, 900.0]]
        assert {trial.number for trial in study.best_trials} == {0, 1}

    def test_best_is_the_first_of_the_front(self, open_search):
        search = open_search(*self.OVERRIDES)
        assert (search.front(), search.best()) == ({}, None)
        for values in ((0.5, 100), (0.75, 900), (0.5, 200), (0.75, 800), (0.25, 50)):
            search.tell(search.ask().number, complete(*values))
        search.tell(search.ask().number, failed())
        assert list(search.front().items()) == [(3, (0.75, 800.0)), (0, (0.5, 100.0)), (4, (0.25, 50.0))]
        assert search.best() == (3, 0.75)
        assert open_search(*self.OVERRIDES).best() == (3, 0.75)

    def test_nothing_is_pruned_or_reported(self, open_search, storage):
        search = open_search(*self.OVERRIDES)
        number = search.ask().number
        assert search.report(number, epoch(1, 0.1))
        assert stored(storage)[0].intermediate_values == {}

    @pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
    def test_samplers_cope_with_trials_without_values(self, open_search, sampler):
        """Most are pruned without a report or failed, in several processes; none is proposed twice."""
        drawn = []
        for restart in range(3):
            search = open_search(*self.OVERRIDES, f"search.sampler={sampler}", "search.trials=24")
            for position in range(8):
                trial = search.ask()
                drawn.append(trial.config.training["learning_rate"])
                if position % 4 == 3:
                    search.tell(trial.number, complete(drawn[-1], 100 + restart))
                else:
                    search.tell(trial.number, (pruned("no"), failed("no"))[position % 2])
        assert len(set(drawn)) == 24

    def test_grid_works_with_several_objectives(self, open_search):
        fixed = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.optimizer=adam"]
        search = open_search(*self.OVERRIDES, *fixed, "search.sampler=grid", "search.trials=50")
        points = []
        while search.done() < search.total():
            trial = search.ask()
            points.append(trial.config.architecture.parameters["filters"])
            search.tell(trial.number, complete(0.5, len(points)))
        assert len(set(points)) == len(points) == 6


class TestMaxParameters:
    OVERRIDES = ("search.max_parameters=1000",)

    def test_excess_is_counted_and_a_constraint(self, open_search, storage):
        search = open_search(*self.OVERRIDES)
        search.tell(search.ask().number, pruned("1,500 parameters", parameters=1500))
        search.tell(search.ask().number, complete(0.5, 1000))
        search.tell(search.ask().number, failed())
        assert (search.num_rejected(), search.done()) == (1, 3)
        assert open_search(*self.OVERRIDES).num_rejected() == 1
        trials = stored(storage)
        assert [trial.constraints for trial in trials[:3]] == [
            {"max_parameters": 500},
            {"max_parameters": 0},
            {},
        ]
        assert trials[0].state == PRUNED
        assert trials[0].intermediate_values == {}

    def test_no_limit_sets_no_constraint(self, open_search, storage):
        search = open_search()
        search.tell(search.ask().number, complete(0.5, 10**9))
        assert search.num_rejected() == 0
        assert stored(storage)[0].constraints == {}

    def test_death_during_tell_counts_the_trial_once(self, open_search, monkeypatch, recwarn):
        search = open_search(*self.OVERRIDES)
        number = search.ask().number

        def dies(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "tell", dies)
            with pytest.raises(KeyboardInterrupt):
                search.tell(number, pruned("1,500 parameters", parameters=1500))
        search = open_search(*self.OVERRIDES)
        assert search.unfinished_trials() == [number]
        search.tell(number, pruned("1,500 parameters", parameters=1500))
        assert (search.num_rejected(), search.done()) == (1, 1)
        assert [str(warning.message) for warning in recwarn if "constraint" in str(warning.message)] == []

    def test_tpe_learns_to_stay_below_the_limit(self, open_search, monkeypatch):
        """Nine of ten networks are too large; of what it draws later many more than one in ten are not."""
        in_memory = optuna.storages.InMemoryStorage()
        monkeypatch.setattr("zoo.tuning.search.open_storage", lambda *_, **__: in_memory)
        search = open_search(*self.OVERRIDES, "search.sampler=tpe", "search.trials=60", "search.seed=3")
        small = []
        for _ in range(60):
            trial = search.ask()
            dropout = trial.config.architecture.parameters["dropout"]  # stands for a size, from 0 to 0.5
            small.append(dropout <= 0.05)
            if small[-1]:
                search.tell(trial.number, complete(dropout, round(20_000 * dropout)))
            else:
                search.tell(trial.number, pruned(parameters=round(20_000 * dropout)))
        assert sum(small[30:]) >= 8  # of 30, where chance would give 3


class TestInterrupted:
    def interrupt(self, search, number):
        search.tell(number, INTERRUPTED)

    def test_interrupted_trial_is_retried_and_does_not_count(self, open_search, storage):
        search = open_search()
        run(search)
        trial = search.ask()
        self.interrupt(search, trial.number)
        assert search.done() == 1
        assert stored(storage)[1].state == FAIL
        again = open_search().ask()
        assert again.number == 2
        assert again.config.architecture == trial.config.architecture
        assert again.config.training == trial.config.training

    def test_interrupted_baseline_is_retried(self, define, open_search):
        search = open_search()
        self.interrupt(search, search.ask().number)
        again = open_search().ask()
        assert again.config == define().baseline(DIGEST, define().seed_of(1))

    def test_several_are_retried_in_order_first(self, open_search):
        search = open_search()
        run(search)
        trial = [search.ask() for _ in range(3)]
        for one in trial:
            self.interrupt(search, one.number)
        search = open_search()
        again = [search.ask() for _ in range(3)]
        assert [one.config.training for one in again] == [one.config.training for one in trial]
        new = search.ask()
        assert new.config.training not in [one.config.training for one in trial]

    def test_repeated_interruption_queues_once(self, open_search):
        search = open_search()
        for _ in range(3):
            self.interrupt(search, search.ask().number)
            search = open_search()
        first, second = search.ask(), search.ask()
        assert first.config.training != second.config.training

    def test_interrupted_grid_point_runs_exactly_once(self, open_search, storage):
        fixed = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.optimizer=adam"]
        fixed += ["search.sampler=grid"]
        search = open_search(*fixed)
        run(search)
        self.interrupt(search, search.ask().number)
        search = open_search(*fixed)
        while search.done() < search.total():
            run(search)
        complete = [str(trial.params) for trial in stored(storage) if trial.state == COMPLETE]
        assert len(complete) == len(set(complete)) == 6


class TestAhead:
    @pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
    def test_trial_asked_ahead_is_the_next_one(self, define, open_search, sampler):
        overrides = [f"search.sampler={sampler}", "search.trials=9"]
        if sampler == "grid":
            fixed = "architecture.dropout=0.1", "training.momentum=0.5"
            overrides += [*fixed, "training.learning_rate={ choices = [0.01, 0.02] }"]
        search, plain = (open_search(*overrides, name=name) for name in ("example", "example-2"))
        for _ in range(3):
            trial, ahead = search.ask(), search.ask_ahead()
            assert search.ask_ahead() == ahead
            assert trial.config == run(plain).config
            search.tell(trial.number, complete(0.5))
        following = search.ask()
        assert (following.number, following.config) == (ahead.number, ahead.config)

    def test_trial_that_depends_on_results_is_not_asked_ahead(self, open_search):
        search = open_search("search.sampler=tpe", "search.trials=9")  # 4 of them are random
        for _ in range(3):
            run(search)
        search.ask()
        assert search.ask_ahead() is None
        assert open_search("search.sampler=cmaes", name="example-2").ask_ahead() is not None  # the baseline
        other = open_search("search.sampler=nsga2", name="example-3")
        other.ask()
        assert other.ask_ahead() is None

    def test_trial_that_continues_another_one_is_not_asked_ahead(self, open_search):
        search = open_search()
        search.tell(search.ask().number, INTERRUPTED)
        assert search.ask_ahead() is None

    def test_queued_values_that_the_sampler_completes_are_not_asked_ahead(self, open_search):
        search = open_search()
        run(search)
        search._study.enqueue_trial({"training.learning_rate": 0.005})  # as a user may
        assert search.ask_ahead() is None
        assert search.ask().config.training["learning_rate"] == 0.005

    def test_interrupted_trial_is_queued_beside_a_trial_with_its_values(self, open_search, storage):
        search = open_search()
        trial = search.ask()
        values = stored(storage)[trial.number].params
        search._study.enqueue_trial(values)
        search.tell(trial.number, INTERRUPTED)
        again = [one.user_attrs.get("zoo.again") for one in stored(storage) if one.state.name == "WAITING"]
        assert again == [None, trial.number]

    def test_trial_that_never_began_is_queued(self, open_search, storage):
        search = open_search()
        run(search)
        ahead = search.ask_ahead()
        assert [trial.state.name for trial in stored(storage)] == ["COMPLETE", "WAITING"]
        resumed = open_search()
        assert (resumed.done(), resumed.ask().config) == (1, ahead.config)


class TestRetryLater:
    def test_failed_trials_do_not_count_and_run_again(self, open_search):
        search = open_search()
        trials = [search.ask() for _ in range(2)]
        for trial in trials:
            search.tell(trial.number, failed())
        search.retry_later([0, 1])
        assert search.done() == 0
        search = open_search()
        again = [search.ask() for _ in range(2)]
        assert [one.config.training for one in again] == [one.config.training for one in trials]
        for trial in again:
            search.tell(trial.number, complete(0.5))
        assert search.done() == 2

    def test_retried_trial_uses_the_changed_plugin(self, open_search):
        before, after = (
            {**MANIFEST, "plugins": {"zoo-odd": "1.0"}, "code": {"zoo-odd": code}} for code in ("a", "b")
        )
        search = open_search(manifest=before)
        trials = [search.ask() for _ in range(3)]
        for trial in trials:
            search.tell(trial.number, failed())
        search.retry_later([0, 1, 2])
        with pytest.raises(ManifestError, match="with --accept-versions"):
            open_search(manifest=after)
        search = open_search(manifest=after, accept_versions=True)
        assert search.done() == 0
        again = [search.ask() for _ in range(3)]
        assert [one.config.training for one in again] == [one.config.training for one in trials]

    def test_trial_is_retried_once(self, open_search):
        """Its values may fail with every version of the plugin; then it counts, and the study goes on."""
        search = open_search()
        number = search.ask().number
        search.tell(number, failed())
        search.retry_later([number])
        again = search.ask().number
        search.tell(again, failed())
        search.retry_later([again])
        assert search.done() == 1
        assert search.ask().config.training != search.ask().config.training


class TestRetryFailed:
    def test_failed_trials_are_queued_and_do_not_count(self, open_search):
        search = open_search()
        run(search, 0.5)
        trials = [search.ask() for _ in range(4)]
        events = [failed(), pruned("pruned after epoch 1"), failed("killed"), INTERRUPTED]
        for trial, event in zip(trials, events, strict=True):
            search.tell(trial.number, event)
        assert (search.done(), search.retry_failed()) == (4, [1, 3])
        search = open_search()
        assert search.done() == 2
        again = [search.ask() for _ in range(3)]  # the interrupted one was queued first
        parameters = [trials[index].config.training for index in (3, 0, 2)]
        assert [one.config.training for one in again] == parameters
        assert [one.number for one in again] == [5, 6, 7]
        assert again[1].config.seed != trials[0].config.seed

    def test_failed_retry_is_retried_again(self, open_search):
        search = open_search()
        search.tell(search.ask().number, failed())
        assert search.retry_failed() == [0]
        assert search.retry_failed() == []
        search.tell(search.ask().number, failed())
        assert (search.done(), search.retry_failed(), search.done()) == (1, [1], 0)

    def test_deleted_trial_is_not_retried(self, open_search, directory):
        search = open_search()
        search.tell(search.ask().number, failed())
        directory.set_deleted_trials([0])
        assert open_search().retry_failed() == []


class TestDeleted:
    def test_deleted_trials_are_neither_best_nor_ranked(self, open_search, directory):
        search = open_search()
        for value in (0.5, 0.75, 0.6):
            run(search, value)
        search.deleted = {1}
        assert search.best() == (2, 0.6)
        assert list(search.values()) == [0, 2]
        assert search.done() == 3
        directory.set_deleted_trials([1, 2])
        assert open_search().best() == (0, 0.5)

    def test_new_study_of_the_name_has_no_deleted_trials(self, open_search, directory, tmp_path):
        run(open_search())
        directory.set_deleted_trials([0])
        search = open_search(url=f"sqlite:///{tmp_path}/other.db")
        run(search)
        assert search.best() == (0, 0.5)


class TestModelsThatAreNotKept:
    VALUES = (0.5, 0.9, 0.7, 0.8, 0.9)

    def test_best_trials_keep_their_models(self, define, open_search):
        search = open_search("search.keep_models=2")
        surplus = [run(search, value) and search.surplus() for value in self.VALUES]
        assert surplus == [[], [], [0], [2, 0], [3, 2, 0]]  # of equal trials, the earlier is better
        search.deleted = {1}
        assert search.surplus() == [2, 0]

    @pytest.mark.parametrize("setting", ['search.keep_models="all"', "search.keep_models=5"])
    def test_no_model_is_removed_before_the_limit(self, define, open_search, setting):
        search = open_search(setting)
        for value in self.VALUES:
            run(search, value)
        assert search.surplus() == []

    def test_front_is_kept_whole(self, define, open_search):
        several = 'objective=["val_accuracy", "parameters"]'
        search = open_search(several, "search.keep_models=1", "search.pruner=none")
        for values in ((0.5, 10.0), (0.6, 20.0), (0.7, 30.0), (0.55, 25.0)):
            search.tell(search.ask().number, complete(*values))
        assert search.surplus() == [3]

    def test_study_of_an_older_version_keeps_all(self, define, open_search):
        search = open_search()
        for value in (*self.VALUES, 0.1):
            run(search, value)
        assert search.surplus() == [5]
        older = {key: value for key, value in search._study.user_attrs.items() if key != "zoo.keeps_best"}
        search._study = SimpleNamespace(user_attrs=older, get_trials=search._study.get_trials)
        assert search.surplus() == []


class TestAbandoned:
    """Trials of a killed supervisor, which Optuna keeps as running."""

    def test_abandoned_trials_get_a_final_state(self, open_search, storage):
        killed = open_search()
        run(killed)
        left = [killed.ask().number for _ in range(2)]
        search = open_search()
        assert search.unfinished_trials() == left
        search.tell(left[0], complete(0.75))
        search.tell(left[1], INTERRUPTED)
        assert open_search().unfinished_trials() == []
        assert [trial.state for trial in stored(storage)][:3] == [COMPLETE, COMPLETE, FAIL]
        assert search.best() == (1, 0.75)

    def test_abandoned_trial_keeps_its_reports(self, open_search, storage):
        killed = open_search()
        number = killed.ask().number
        killed.report(number, epoch(1, 0.5))
        search = open_search()
        search.unfinished_trials()
        search.tell(number, pruned())
        assert stored(storage)[0].intermediate_values == {1: 0.5}

    def test_abandoned_trial_without_values_is_retried_as_queued(self, define, open_search):
        killed = open_search()
        killed._study.ask()  # and dies before it asks for any value
        search = open_search()
        for number in search.unfinished_trials():
            search.tell(number, INTERRUPTED)
        assert search.ask().config == define().baseline(DIGEST, define().seed_of(1))

    def test_death_during_tell_loses_no_trial(self, open_search, monkeypatch):
        search = open_search()
        run(search)
        trial = search.ask()

        def dies(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "tell", dies)
            with pytest.raises(KeyboardInterrupt):
                search.tell(trial.number, INTERRUPTED)
        search = open_search()
        for number in search.unfinished_trials():
            search.tell(number, INTERRUPTED)
        again, new = search.ask(), search.ask()
        assert again.config.training == trial.config.training
        assert new.config.training != trial.config.training


class TestSharedStorage:
    """Several machines may share a storage, but not a directory's lock."""

    @pytest.fixture
    def elsewhere(self, tmp_path):
        """The study's directory on another machine."""
        directory = StudyDirectory(tmp_path / "elsewhere", "example")
        directory.create()
        return directory

    @pytest.mark.parametrize(("running", "listed"), [(1, "0"), (2, "0, 1")])
    def test_trials_running_in_another_folder_are_refused(
        self, open_search, elsewhere, storage, running, listed
    ):
        there = open_search(directory=elsewhere)
        for _ in range(running):
            there.ask()
        with pytest.raises(ZooError) as refused:
            open_search()
        assert str(refused.value) == (
            f"trials of 'example' are running in {socket.gethostname()}:{elsewhere.path}: {listed}. "
            "Wait until they end, or run the same command with --name example-2 to start a study of your own."
        )
        assert stored(storage)[0].state == optuna.trial.TrialState.RUNNING

    def test_folder_that_starts_last_continues_the_study(self, open_search, elsewhere):
        first, last = open_search(), open_search(directory=elsewhere)  # neither has a running trial yet
        with pytest.raises(ZooError) as refused:
            first.ask()
        assert str(refused.value) == (
            f"the study 'example' was started at the same time in {socket.gethostname()}:{elsewhere.path}, "
            "which continues it. Run the same command with --name example-2 to start a study of your own."
        )
        assert last.ask().number == 0

    def test_study_may_move_when_nothing_runs(self, open_search, elsewhere):
        run(open_search(directory=elsewhere))
        search = open_search()
        run(search)
        assert search.done() == 2

    def test_killed_study_resumes_in_a_moved_folder(self, open_search, tmp_path, empty_optuna, monkeypatch):
        """Also under another host name, as in a container."""
        before, after = tmp_path / "before", tmp_path / "after"
        (before / "mlruns" / "zoo" / "example").mkdir(parents=True)
        shutil.copyfile(empty_optuna, before / "mlruns" / "optuna.db")
        killed = open_search(directory=StudyDirectory(before, "example"), url=default_storage(before))
        number = killed.ask().number
        before.rename(after)
        monkeypatch.setattr(socket, "gethostname", lambda: "another-machine")
        search = open_search(directory=StudyDirectory(after, "example"), url=default_storage(after))
        assert search.unfinished_trials() == [number]

    def test_password_is_not_shown(self, open_search):
        with pytest.raises(ZooError) as refused:
            open_search(url="postgresql://zoo:se:cret@nowhere.invalid/optuna")
        assert "cret" not in str(refused.value)


class TestResume:
    @pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("gp", "grid")])
    def test_resumed_sampler_does_not_repeat_trials(self, open_search, sampler):
        drawn = []
        for _ in range(3):
            search = open_search(f"search.sampler={sampler}", "search.trials=40")
            drawn += [run(search).config.training["learning_rate"] for _ in range(3)]
        assert len(set(drawn)) == len(drawn)

    def test_resuming_is_reproducible(self, open_search, tmp_path):
        run(open_search())
        copy = tmp_path / "copy.db"
        copy.write_bytes((tmp_path / "optuna.db").read_bytes())
        here = open_search().ask().config
        there = open_search(url=f"sqlite:///{copy}").ask().config
        assert here == there

    def test_other_seed_proposes_other_values(self, open_search):
        configs = []
        for seed in (0, 1):
            search = open_search(f"search.seed={seed}", name=f"example-{seed}")
            search.ask()
            configs.append(search.ask().config)
        assert configs[0].training != configs[1].training
        assert configs[0].seed != configs[1].seed


class TestImportances:
    def run(self, search, count):
        for _ in range(count):
            trial = search.ask()
            search.tell(trial.number, complete(1 / (1 + trial.config.training["learning_rate"])))
        return search.importances()

    def test_few_trials_have_none(self, open_search):
        assert self.run(open_search(), 9) == {}

    def test_items_of_a_list_have_one_importance(self, open_search):
        search = open_search()
        importances = self.run(search, 12)
        assert list(importances.values()) == sorted(importances.values(), reverse=True)
        assert {"conv_net.filters", "training.learning_rate"} <= set(importances)
        assert set(importances) <= set(search._definition.searched())

    def test_parameter_called_length_is_no_list(self):
        found = {"net.units.length": 0.1, "net.units.2": 0.2, "net.length": 0.3, "architecture": 0.4}
        assert total_importances(found) == pytest.approx(
            {"architecture": 0.4, "net.units": 0.3, "net.length": 0.3}
        )


def test_two_folders_create_the_tables_of_one_database(tmp_path):
    url = f"sqlite:///{tmp_path}/shared.db"
    folders = [tmp_path / name / "mlruns" / "zoo" for name in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        opened = list(pool.map(lambda folder: open_storage(url, folder), folders))
    assert [storage.get_all_studies() for storage in opened] == [[], []]
    assert (tmp_path / ".optuna.lock").exists()  # both have locked the same file
