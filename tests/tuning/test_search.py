"""What the Optuna study is asked and told, over several lives of the supervisor."""

from __future__ import annotations

import json
import shutil
import socket

import pytest
from tuning_examples import DIGEST, MANIFEST

from zoo.errors import ManifestError, ZooError
from zoo.study import SAMPLERS
from zoo.tuning.record import StudyRecord
from zoo.tuning.search import default_storage, redacted

optuna = pytest.importorskip("optuna")

COMPLETE, PRUNED, FAIL = (
    optuna.trial.TrialState.COMPLETE,
    optuna.trial.TrialState.PRUNED,
    optuna.trial.TrialState.FAIL,
)


def stored(url, name="example"):
    """The trials as Optuna itself reads them."""
    return optuna.load_study(study_name=name, storage=url).trials


def run(search, value=0.5):
    """One trial from its beginning to its end."""
    asked = search.ask()
    search.tell(asked.number, "complete", value, "")
    return asked


class TestTheBeginning:
    def test_trial_0_is_the_baseline(self, define, open_search):
        asked = open_search().ask()
        definition = define()
        assert asked.number == 0
        assert asked.config == definition.baseline(DIGEST, definition.seed_of(0))

    def test_is_the_same_whatever_the_sampler(self, define, open_search):
        for position, sampler in enumerate(name for name in SAMPLERS if name not in ("gp", "grid")):
            definition = define(f"search.sampler={sampler}", name=f"example-{position}")
            asked = open_search(f"search.sampler={sampler}", name=definition.name).ask()
            assert asked.config == definition.baseline(DIGEST, definition.seed_of(0))

    def test_a_baseline_that_was_never_asked_for_is_there_in_the_next_life(self, define, open_search):
        open_search()
        assert open_search().ask().config.training["learning_rate"] == 1e-3
        assert open_search().ask().config != define().baseline(DIGEST, define().seed_of(1))

    @pytest.mark.parametrize("died_before", ["zoo.uid", "zoo.manifest"])
    def test_a_life_that_ended_while_the_study_was_begun_is_no_obstacle(
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

    def test_every_trial_has_a_seed_and_a_name_of_its_own(self, open_search):
        search = open_search()
        seeds = {search.ask().config.seed for _ in range(4)}
        assert len(seeds) == 4
        assert search.uid(3) == f"{search.uid()}-3"
        assert open_search().uid() == search.uid()

    def test_a_study_that_zoo_did_not_make_is_left_alone(self, open_search, storage):
        theirs = optuna.create_study(study_name="example", storage=storage)
        theirs.tell(theirs.ask(), 0.5)
        with pytest.raises(ZooError, match=r"that zoo did not make; .* with --name example-2"):
            open_search()
        assert len(stored(storage)) == 1

    def test_a_changed_study_is_refused_and_stays_as_it_was(self, open_search, storage):
        run(open_search(manifest={**MANIFEST, "seed": 0}))
        with pytest.raises(ManifestError, match="seed: was 0, is 1"):
            open_search(manifest={**MANIFEST, "seed": 1})
        study = optuna.load_study(study_name="example", storage=storage)
        assert json.loads(study.user_attrs["zoo.manifest"])["seed"] == 0
        assert len(study.trials) == 1

    def test_one_that_was_never_begun_may_change(self, define, open_search, storage):
        """MLflow did not answer, and the next attempt is another one."""
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

    def test_accepted_versions_are_the_ones_from_then_on(self, open_search):
        old, new = ({**MANIFEST, "plugins": {"zoo-odd": version}} for version in ("1.0", "2.0"))
        run(open_search(manifest=old))
        open_search(manifest=new, accept_versions=True)
        open_search(manifest=new)
        with pytest.raises(ManifestError, match=r'was "2\.0", is "1\.0"'):
            open_search(manifest=old)

    @pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense://here", "sqlite:///"])
    def test_a_storage_that_cannot_be_opened_is_one_line(self, open_search, url, tmp_path):
        if url == "sqlite:///":
            (tmp_path / "text.db").write_text("not a database, but long enough to be looked at " * 9)
            url += str(tmp_path / "text.db")
        with pytest.raises(ZooError) as refused:
            open_search(url=url)
        assert str(refused.value).startswith(f"The Optuna storage {url} cannot be opened: ")
        assert "\n" not in str(refused.value)
        assert str(refused.value).endswith(
            "--storage sqlite:///optuna.db, or leave it out for mlruns/optuna.db"
        )

    @pytest.mark.parametrize("character", "?#%")
    def test_a_path_that_an_address_would_misread_is_refused(self, tmp_path, character):
        with pytest.raises(ZooError, match="use another folder"):
            default_storage(tmp_path / f"what{character}")
        assert default_storage(tmp_path) == f"sqlite:///{tmp_path}/mlruns/optuna.db"


class TestCounting:
    def test_the_number_of_trials_is_the_studys_total(self, open_search):
        first = open_search("search.trials=3")
        assert (first.done(), first.total()) == (0, 3)
        run(first)
        run(first)
        again = open_search("search.trials=3")
        assert (again.done(), again.total()) == (2, 3)
        longer = open_search("search.trials=5")
        assert (longer.done(), longer.total()) == (2, 5)

    def test_every_end_of_its_own_counts_and_is_in_optuna(self, open_search, storage):
        search = open_search()
        ends = [("complete", 0.5, ""), ("pruned", None, "impossible parameters"), ("failed", None, "it fell")]
        for end in ends:
            search.tell(search.ask().number, *end)
        search.ask()  # runs still
        assert search.done() == 3
        trials = stored(storage)
        assert [trial.state for trial in trials[:3]] == [COMPLETE, PRUNED, FAIL]
        assert [trial.value for trial in trials[:3]] == [0.5, None, None]
        assert [trial.user_attrs.get("zoo.reason") for trial in trials[:3]] == [
            None,
            *(e[2] for e in ends[1:]),
        ]

    def test_a_grid_may_have_fewer_points_than_the_study_trials(self, open_search):
        pinned = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.momentum=0.9"]
        pinned += ["training.optimizer=sgd", "search.sampler=grid", "search.trials=50"]
        search = open_search(*pinned)
        assert search.total() == 6
        points = [run(search).config.architecture.parameters["filters"] for _ in range(3)]
        search = open_search(*pinned)  # goes on where it was
        points += [run(search).config.architecture.parameters["filters"] for _ in range(3)]
        assert sorted(points) == [(8,), (8, 8), (8, 16), (16,), (16, 8), (16, 16)]
        assert search.done() == search.total()

    def test_grid_points_that_run_at_once_differ(self, open_search):
        pinned = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.optimizer=adam"]
        search = open_search(*pinned, "search.sampler=grid")
        asked = [search.ask().config.architecture.parameters["filters"] for _ in range(6)]
        assert len(set(asked)) == 6

    def test_steps_of_a_grid_are_those_of_the_baseline(self, open_search):
        pinned = ["architecture.filters=[8]", "training.learning_rate=0.01", "training.optimizer=adam"]
        search = open_search(
            *pinned, "architecture.dropout={ low = 0.1, high = 0.5, step = 0.2 }", "search.sampler=grid"
        )
        drops = sorted(run(search).config.architecture.parameters["dropout"] for _ in range(search.total()))
        assert drops == [0.1, 0.3, 0.5]

    @pytest.mark.parametrize(("objective", "best"), [("val_accuracy", (2, 0.75)), ("val_loss", (1, 0.25))])
    def test_the_best_is_the_first_of_the_best_complete_ones(self, open_search, objective, best):
        search = open_search(f"objective={objective}")
        assert search.best() is None
        for value in (0.5, 0.25, 0.75, 0.75, 0.25):
            run(search, value)
        search.tell(search.ask().number, "failed", None, "it fell")
        pruned = search.ask().number
        search.report(pruned, 1, 0.99 if objective == "val_accuracy" else 0.01)
        search.tell(pruned, "pruned", None, "")
        assert search.best() == best
        assert search.values() == {0: (0.5,), 1: (0.25,), 2: (0.75,), 3: (0.75,), 4: (0.25,)}
        equal = {2: (0.75,), 3: (0.75,)} if objective == "val_accuracy" else {1: (0.25,), 4: (0.25,)}
        assert search.front() == equal


class TestEpochs:
    def test_are_reported_from_1(self, open_search, storage):
        search = open_search()
        number = search.ask().number
        assert search.report(number, 1, 0.25)
        assert search.report(number, 2, 0.5)
        search.tell(number, "complete", 0.5, "")
        assert stored(storage)[0].intermediate_values == {1: 0.25, 2: 0.5}

    def test_a_trial_far_behind_the_others_is_pruned(self, open_search):
        search = open_search("search.pruner=median")
        for _ in range(4):
            number = search.ask().number
            for epoch in (1, 2):
                search.report(number, epoch, 0.9)
            search.tell(number, "complete", 0.9, "")
        number = search.ask().number
        assert [search.report(number, epoch, 0.1) for epoch in (1, 2)] == [True, False]


class TestSeveralObjectives:
    OVERRIDES = ('objective=["val_accuracy", "parameters"]',)

    def test_optuna_hears_every_value_and_direction(self, open_search, storage):
        search = open_search(*self.OVERRIDES)
        for values in ((0.5, 100), (0.75, 900)):
            search.tell(search.ask().number, "complete", values, "")
        study = optuna.load_study(study_name="example", storage=storage)
        assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        assert [trial.values for trial in study.trials] == [[0.5, 100.0], [0.75, 900.0]]
        assert {trial.number for trial in study.best_trials} == {0, 1}

    def test_the_front_is_what_no_other_beats_and_the_best_its_first(self, open_search):
        search = open_search(*self.OVERRIDES)
        assert (search.front(), search.best()) == ({}, None)
        for values in ((0.5, 100), (0.75, 900), (0.5, 200), (0.75, 800), (0.25, 50)):
            search.tell(search.ask().number, "complete", values, "")
        search.tell(search.ask().number, "failed", None, "it fell")
        assert list(search.front().items()) == [(3, (0.75, 800.0)), (0, (0.5, 100.0)), (4, (0.25, 50.0))]
        assert search.best() == (3, 0.75)
        assert open_search(*self.OVERRIDES).best() == (3, 0.75)

    def test_nothing_is_pruned_and_nothing_is_reported(self, open_search, storage):
        search = open_search(*self.OVERRIDES)
        number = search.ask().number
        assert search.report(number, 1, 0.1)
        assert stored(storage)[0].intermediate_values == {}

    @pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
    def test_every_sampler_goes_on_beside_trials_that_came_to_nothing(self, open_search, sampler):
        """Most are pruned without a report or failed, in several lives; none is drawn twice."""
        drawn = []
        for life in range(3):
            search = open_search(*self.OVERRIDES, f"search.sampler={sampler}", "search.trials=24")
            for position in range(8):
                asked = search.ask()
                drawn.append(asked.config.training["learning_rate"])
                if position % 4 == 3:
                    search.tell(asked.number, "complete", (drawn[-1], 100 + life), "")
                else:
                    search.tell(asked.number, ("pruned", "failed")[position % 2], None, "no")
        assert len(set(drawn)) == 24

    def test_a_grid_too(self, open_search):
        pinned = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.optimizer=adam"]
        search = open_search(*self.OVERRIDES, *pinned, "search.sampler=grid", "search.trials=50")
        points = []
        while search.done() < search.total():
            asked = search.ask()
            points.append(asked.config.architecture.parameters["filters"])
            search.tell(asked.number, "complete", (0.5, len(points)), "")
        assert len(set(points)) == len(points) == 6


class TestABudgetOfParameters:
    OVERRIDES = ("search.max_parameters=1000",)

    def test_what_is_over_it_is_counted_and_told_to_the_sampler(self, open_search, storage):
        search = open_search(*self.OVERRIDES)
        search.tell(search.ask().number, "pruned", None, "1,500 parameters", parameters=1500)
        search.tell(search.ask().number, "complete", 0.5, "", parameters=1000)
        search.tell(search.ask().number, "failed", None, "it fell")
        assert (search.rejected(), search.done()) == (1, 3)
        assert open_search(*self.OVERRIDES).rejected() == 1
        trials = stored(storage)
        assert [trial.constraints for trial in trials[:3]] == [
            {"max_parameters": 500},
            {"max_parameters": 0},
            {},
        ]
        assert trials[0].state == PRUNED
        assert trials[0].intermediate_values == {}

    def test_without_one_nothing_is_said(self, open_search, storage):
        search = open_search()
        search.tell(search.ask().number, "complete", 0.5, "", parameters=10**9)
        assert search.rejected() == 0
        assert stored(storage)[0].constraints == {}

    def test_a_supervisor_that_dies_while_it_tells_counts_it_once(self, open_search, monkeypatch, recwarn):
        search = open_search(*self.OVERRIDES)
        number = search.ask().number

        def dies(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "tell", dies)
            with pytest.raises(KeyboardInterrupt):
                search.tell(number, "pruned", None, "1,500 parameters", parameters=1500)
        search = open_search(*self.OVERRIDES)
        assert search.abandoned() == [number]
        search.tell(number, "pruned", None, "1,500 parameters", parameters=1500)
        assert (search.rejected(), search.done()) == (1, 1)
        assert [str(warning.message) for warning in recwarn if "constraint" in str(warning.message)] == []

    def test_tpe_turns_to_what_is_small_enough(self, open_search, monkeypatch):
        """Nine of ten networks are too large; of what it draws later many more than one in ten are not."""
        in_memory = optuna.storages.InMemoryStorage()
        monkeypatch.setattr("zoo.tuning.search._open_storage", lambda *_: in_memory)
        search = open_search(*self.OVERRIDES, "search.sampler=tpe", "search.trials=60", "search.seed=3")
        small = []
        for _ in range(60):
            asked = search.ask()
            dropout = asked.config.architecture.parameters["dropout"]  # stands for a size, from 0 to 0.5
            small.append(dropout <= 0.05)
            if small[-1]:
                search.tell(asked.number, "complete", dropout, "", parameters=round(20_000 * dropout))
            else:
                search.tell(asked.number, "pruned", None, "", parameters=round(20_000 * dropout))
        assert sum(small[30:]) >= 8  # of 30, where chance would give 3


class TestInterrupted:
    def interrupt(self, search, number):
        search.tell(number, "failed", None, "interrupted", interrupted=True)

    def test_does_not_count_and_is_asked_for_again(self, open_search, storage):
        search = open_search()
        run(search)
        asked = search.ask()
        self.interrupt(search, asked.number)
        assert search.done() == 1
        assert stored(storage)[1].state == FAIL
        again = open_search().ask()
        assert again.number == 2
        assert again.config.architecture == asked.config.architecture
        assert again.config.training == asked.config.training

    def test_the_baseline_too(self, define, open_search):
        search = open_search()
        self.interrupt(search, search.ask().number)
        again = open_search().ask()
        assert again.config == define().baseline(DIGEST, define().seed_of(1))

    def test_several_are_asked_for_in_their_order_before_anything_new(self, open_search):
        search = open_search()
        run(search)
        asked = [search.ask() for _ in range(3)]
        for one in asked:
            self.interrupt(search, one.number)
        search = open_search()
        again = [search.ask() for _ in range(3)]
        assert [one.config.training for one in again] == [one.config.training for one in asked]
        new = search.ask()
        assert new.config.training not in [one.config.training for one in asked]

    def test_again_and_again_it_is_asked_for_once(self, open_search):
        search = open_search()
        for _ in range(3):
            self.interrupt(search, search.ask().number)
            search = open_search()
        first, second = search.ask(), search.ask()
        assert first.config.training != second.config.training

    def test_in_a_grid_no_point_is_lost_and_none_comes_twice(self, open_search, storage):
        pinned = ["architecture.dropout=0.5", "training.learning_rate=0.01", "training.optimizer=adam"]
        pinned += ["search.sampler=grid"]
        search = open_search(*pinned)
        run(search)
        self.interrupt(search, search.ask().number)
        search = open_search(*pinned)
        while search.done() < search.total():
            run(search)
        complete = [str(trial.params) for trial in stored(storage) if trial.state == COMPLETE]
        assert len(complete) == len(set(complete)) == 6


class TestAbandoned:
    """Trials of a supervisor that was killed: Optuna calls them running for ever."""

    def test_are_found_and_can_be_told(self, open_search, storage):
        killed = open_search()
        run(killed)
        left = [killed.ask().number for _ in range(2)]
        search = open_search()
        assert search.abandoned() == left
        search.tell(left[0], "complete", 0.75, "")
        search.tell(left[1], "failed", None, "killed", interrupted=True)
        assert open_search().abandoned() == []
        assert [trial.state for trial in stored(storage)][:3] == [COMPLETE, COMPLETE, FAIL]
        assert search.best() == (1, 0.75)

    def test_keep_the_epochs_they_reported(self, open_search, storage):
        killed = open_search()
        number = killed.ask().number
        killed.report(number, 1, 0.5)
        search = open_search()
        search.abandoned()
        search.tell(number, "pruned", None, "")
        assert stored(storage)[0].intermediate_values == {1: 0.5}

    def test_one_that_was_never_sampled_is_asked_for_again_as_it_was_meant(self, define, open_search):
        killed = open_search()
        killed._study.ask()  # and dies before it asks for any value
        search = open_search()
        for number in search.abandoned():
            search.tell(number, "failed", None, "killed", interrupted=True)
        assert search.ask().config == define().baseline(DIGEST, define().seed_of(1))

    def test_a_supervisor_that_dies_while_it_tells_loses_nothing(self, open_search, monkeypatch):
        search = open_search()
        run(search)
        asked = search.ask()

        def dies(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(optuna.Study, "tell", dies)
            with pytest.raises(KeyboardInterrupt):
                search.tell(asked.number, "failed", None, "interrupted", interrupted=True)
        search = open_search()
        for number in search.abandoned():
            search.tell(number, "failed", None, "killed", interrupted=True)
        again, new = search.ask(), search.ask()
        assert again.config.training == asked.config.training
        assert new.config.training != asked.config.training


class TestASharedStorage:
    """A storage may be used from several machines; a folder's lock is of one."""

    @pytest.fixture
    def elsewhere(self, tmp_path):
        """The study's folder on another machine."""
        record = StudyRecord(tmp_path / "elsewhere", "example")
        record.open()
        return record

    @pytest.mark.parametrize(
        ("running", "told"), [(1, "Trial 0 of 'example' runs"), (2, "Trials 0, 1 of 'example' run")]
    )
    def test_what_runs_elsewhere_is_left_alone(self, open_search, elsewhere, record, storage, running, told):
        there = open_search(record=elsewhere)
        for _ in range(running):
            there.ask()
        with pytest.raises(ZooError) as refused:
            open_search()
        assert str(refused.value) == (
            f"{told} in {socket.gethostname()}:{elsewhere.folder}; wait for it there. If nothing is at work "
            f"there any more, take the study over: echo {elsewhere.home()} > {record.folder}/home. "
            "Or begin a study of your own: the same command with --name example-2"
        )
        assert stored(storage)[0].state == optuna.trial.TrialState.RUNNING

    def test_it_can_be_taken_over_as_the_message_says(self, open_search, elsewhere, record):
        open_search(record=elsewhere).ask()
        (record.folder / "home").write_text(elsewhere.home() + "\n")
        assert open_search().abandoned() == [0]

    def test_when_nothing_runs_there_the_study_may_move(self, open_search, elsewhere):
        run(open_search(record=elsewhere))
        search = open_search()
        run(search)
        assert search.done() == 2

    def test_a_killed_study_goes_on_after_its_folder_and_machine_had_another_name(
        self, open_search, tmp_path, empty_optuna, monkeypatch
    ):
        before, after = tmp_path / "before", tmp_path / "after"
        (before / "mlruns" / "zoo" / "example").mkdir(parents=True)
        shutil.copyfile(empty_optuna, before / "mlruns" / "optuna.db")
        killed = open_search(record=StudyRecord(before, "example"), url=default_storage(before))
        number = killed.ask().number
        before.rename(after)
        monkeypatch.setattr(socket, "gethostname", lambda: "another-machine")
        search = open_search(record=StudyRecord(after, "example"), url=default_storage(after))
        assert search.abandoned() == [number]

    def test_a_study_of_an_earlier_version_knows_its_folder_by_its_path(self, open_search, record, storage):
        open_search().ask()
        study = optuna.load_study(study_name="example", storage=storage)
        study.set_user_attr("zoo.home", f"{socket.gethostname()}:{record.folder}")
        assert open_search().abandoned() == [0]
        assert study.user_attrs["zoo.home"] == record.home()

    def test_its_password_is_not_shown(self, open_search):
        url = "postgresql://zoo:se:cret@nowhere.invalid/optuna"
        assert redacted(f"at {url}?") == "at postgresql://zoo:…@nowhere.invalid/optuna?"
        with pytest.raises(ZooError) as refused:
            open_search(url=url)
        assert "cret" not in str(refused.value)


class TestResume:
    @pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("gp", "grid")])
    def test_never_draws_the_first_trials_once_more(self, open_search, sampler):
        drawn = []
        for _ in range(3):
            search = open_search(f"search.sampler={sampler}", "search.trials=40")
            drawn += [run(search).config.training["learning_rate"] for _ in range(3)]
        assert len(set(drawn)) == len(drawn)

    def test_is_the_same_each_time_it_is_done(self, open_search, tmp_path):
        run(open_search())
        copy = tmp_path / "copy.db"
        copy.write_bytes((tmp_path / "optuna.db").read_bytes())
        here = open_search().ask().config
        there = open_search(url=f"sqlite:///{copy}").ask().config
        assert here == there

    def test_another_seed_draws_other_values(self, open_search):
        configs = []
        for seed in (0, 1):
            search = open_search(f"search.seed={seed}", name=f"example-{seed}")
            search.ask()
            configs.append(search.ask().config)
        assert configs[0].training != configs[1].training
        assert configs[0].seed != configs[1].seed
