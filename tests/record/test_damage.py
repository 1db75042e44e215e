"""Damaged files of a study's directory: every command that reads them names the file, and guesses nothing."""

from __future__ import annotations

import json
import shutil

import pytest
from shared_tools import RecordingDisplay

from zoo.errors import RecordError, StudyError, ZooError
from zoo.events import Finished
from zoo.models.finding import find_model
from zoo.models.recorded import find_run
from zoo.record import StudyDirectory, damaged_files, find_damage, load_runs, rank_runs
from zoo.report._record import read_record
from zoo.study import Objective
from zoo.tuning.lifecycle import delete_trials

NOT_UTF_8 = b"\xff"


@pytest.fixture
def directory(in_study, in_tmp):
    """A copy of the recorded study `example`, in the working folder; no trial is unfinished."""
    shutil.copytree(in_study / "mlruns" / "zoo" / "example", in_tmp / "mlruns" / "zoo" / "example")
    directory = StudyDirectory(in_tmp, "example")
    directory.trial(3).append(Finished(9.0, "failed", "a reason"))
    directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
    directory.describe("dataset = 'digits'\n", "zoo tune example")
    return directory


def change(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def evaluate_or_inspect():
    display = RecordingDisplay()
    return find_run("example", None, None, display).number, display.problems


def report():
    record = read_record("example")
    return record.best.number, [line for line in record.problems if "Optuna" not in line]


def load_model_or_predict():
    display = RecordingDisplay()
    return find_model("example", display).run.number, display.problems


READERS = [evaluate_or_inspect, report, load_model_or_predict]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
class TestEveryReader:
    def test_undamaged_study_has_no_problem(self, directory, read):
        assert read() == (1, [])

    def test_changed_value_does_not_make_another_trial_the_best(self, directory, read):
        change(directory.trial(0).event_log.path, b'"best_val_accuracy": 0.1', b'"best_val_accuracy": 9.1')
        number, (problem,) = read()
        assert number == 1
        assert problem.startswith("trial 0 of 'example' is set aside: line 4 of ")

    def test_line_that_is_not_an_event_loses_only_itself(self, directory, read):
        path = directory.trial(1).event_log.path
        for garbage in (b"null", NOT_UTF_8, b"[1]", b'{"version": 3, "event": "epoch_end"}'):
            _, *others = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join([garbage + b"\n", *others]))
            assert read() == (1, [f"{path}: line 1 is damaged, so an event of trial 1 is lost"])

    @pytest.mark.parametrize("content", [b'{"dataset": {"na', b"null", NOT_UTF_8, b"", b'{"seed": 1}', b"[]"])
    def test_damaged_configuration_sets_its_trial_aside(self, directory, read, content):
        path = directory.trial(0).config_path
        path.write_bytes(content)
        number, (problem,) = read()
        assert number == 1
        assert problem.startswith(f"trial 0 of 'example' is set aside: {path} is ")
        assert problem.endswith("Restore it from a backup, or from the files of the trial's run in MLflow.")

    def test_deleted_log_is_named(self, directory, read, monkeypatch):
        directory.trial(0).event_log.path.unlink()
        assert read() == (
            1,
            [
                f"trial 0 has no final state in {directory.trial(0).event_log.path}; "
                "if the study was killed, `zoo tune example` settles this"
            ],
        )
        with directory.locked():
            assert read() == (1, [])  # it may be running

    def test_changed_objective_does_not_rank(self, directory, read):
        path = directory.path / "objectives.json"
        change(path, b"maximize", b"minimize")
        with pytest.raises(RecordError, match=r"objectives\.json is damaged: its checksum does not match"):
            read()
        path.write_text('[{"metric": "val_accuracy", "direction": "minimize"}]')  # of an earlier version
        with pytest.raises(RecordError, match=r"damaged: it says to minimize val_accuracy, but the"):
            read()

    @pytest.mark.parametrize("content", [b"null", b"{}", NOT_UTF_8, b"[1]", b'[{"metric": 1}]'])
    def test_objectives_that_are_none_are_an_error(self, directory, read, content):
        (directory.path / "objectives.json").write_bytes(content)
        with pytest.raises(RecordError, match=r"objectives\.json is damaged: .* `zoo tune example` writes"):
            read()

    @pytest.mark.parametrize("content", [b"null", b"{}", NOT_UTF_8, b'["1"]', b""])
    def test_deleted_trials_do_not_come_back(self, directory, read, content):
        directory.set_deleted_trials([1])
        assert read() == (0, []) if read is not load_model_or_predict else True
        (directory.path / "deleted.json").write_bytes(content)
        with pytest.raises(RecordError, match=r"deleted\.json is damaged: .* Delete the file: zoo then asks"):
            read()


class TestIdentity:
    @pytest.mark.parametrize("damage", [b"5f0d", b"", NOT_UTF_8, b"5f0c\n5f0c"])
    def test_changed_uid_is_an_error(self, directory, damage):
        path = directory.path / "uid"
        path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n" + damage)
        for read in (directory.uid, lambda: directory.assign("5f0c", [])):
            with pytest.raises(RecordError, match=r"uid is damaged: .* or write the name into it"):
                read()
        assert directory.numbers() == [0, 1, 2, 3]

    def test_every_changed_bit_of_the_uid_is_found(self, directory):
        path = directory.path / "uid"
        content = path.read_bytes()
        for position in range(len(content)):
            changed = bytearray(content)
            changed[position] ^= 1
            path.write_bytes(bytes(changed))
            with pytest.raises(RecordError):
                directory.uid()

    def test_name_without_checksum_can_be_written_by_hand(self, directory):
        (directory.path / "uid").write_text("5f0c\n")
        assert directory.uid() == "5f0c"
        directory.assign("5f0c", [])


def test_files_that_are_written_again_are_named(directory):
    assert damaged_files(directory) == []
    for name in ("objectives.json", "storage", "study.toml", "commands"):
        path = directory.path / name
        path.write_bytes(path.read_bytes()[:-2])
    lines = damaged_files(directory)
    assert [line.partition(" is damaged: ")[0].rpartition("/")[2] for line in lines] == [
        "objectives.json",
        "storage",
        "study.toml",
        "commands",
    ]
    assert (directory.definition(), directory.commands()) == ("", [])
    directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
    directory.describe("dataset = 'digits'\n", "zoo tune example")
    assert damaged_files(directory) == []


def test_deleted_trial_is_not_named_again(directory):
    directory.trial(0).event_log.path.write_bytes(b"garbage")
    assert find_damage(directory).set_aside == {0}
    delete_trials("example", [0])
    assert find_damage(directory).problems == []


def test_trial_that_was_set_aside_cannot_be_picked(directory):
    directory.trial(0).config_path.write_bytes(b"garbage")
    with pytest.raises(RecordError, match=r"config\.json is damaged: it is not JSON"):
        find_run("example", 0, None, RecordingDisplay())
    directory.trial(1).event_log.path.write_bytes(b"garbage\n")
    run = find_run("example", 1, None, RecordingDisplay())
    assert run.state == "damaged"
    with pytest.raises(StudyError, match=r"trial 1 of 'example' has a damaged event log \(.*, so"):
        run.check_complete()


def test_records_of_earlier_versions_are_read(directory):
    """They have no checksums; objectives and deleted trials are lists."""
    for number in directory.numbers():
        trial = directory.trial(number)
        trial.config_path.write_text(json.dumps(trial.config(), indent=1))
        lines = [json.loads(line) for line in trial.event_log.path.read_text().splitlines()]
        for line in lines:
            del line["zoo.check"]
            line["version"] = 2
        trial.event_log.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (directory.path / "objectives.json").write_text('[{"metric": "val_accuracy", "direction": "maximize"}]\n')
    (directory.path / "deleted.json").write_text("[0]\n")
    (directory.path / "storage").write_text("\n")
    for name, text in (("uid", "5f0c"), ("id", "ab"), ("commands", "zoo tune x"), ("study.toml", "a = 1")):
        (directory.path / name).write_text(f"{text}\n")
    problems = []
    runs = load_runs("example", problems.append)
    assert [run.number for run in rank_runs(runs)] == [1]
    assert problems == []
    assert (directory.uid(), directory.id(), directory.storage()) == ("5f0c", "ab", None)
    assert (directory.commands(), directory.definition()) == (["zoo tune x"], "a = 1")


@pytest.mark.parametrize("seed", range(3))
def test_no_random_damage_changes_a_result(directory, seed, in_tmp):
    """Flip a bit or cut the file at a random place: the best trial is the same, or the damage is named."""
    import random

    rng, best = random.Random(seed), load_runs("example")[1].summary
    files = [
        path for path in directory.path.rglob("*") if path.name in ("config.json", "events.jsonl", "uid")
    ]
    files += [directory.path / name for name in ("objectives.json", "storage", "study.toml", "commands")]
    for _ in range(150):
        path = rng.choice([one for one in files if "standalone" not in str(one)])
        content = path.read_bytes()
        changed = bytearray(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
        if len(changed) == len(content):
            changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(changed))
        problems, same = [], False
        try:
            runs = load_runs("example", problems.append)
            ranked = rank_runs(runs)
            same = bool(ranked) and ranked[0].summary == best and ranked[0].uid() == "5f0c-1"
        except ZooError as error:
            problems.append(str(error))
        assert same or str(path) in problems[0], (seed, path, bytes(changed))
        path.write_bytes(content)
