"""Reading a recorded Optuna study without changing it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuning_examples import MANIFEST

from zoo.errors import ZooError
from zoo.events import Finished
from zoo.tuning.recorded_search import recorded_manifest, recorded_study

pytest.importorskip("optuna")


def test_copy_has_the_trials_with_their_numbers(open_search, directory, storage):
    search = open_search()
    for _ in range(2):
        summary = {"best_val_accuracy": 0.5, "best_val_loss": 0.5}
        search.tell(search.ask().number, Finished(9.0, "complete", "", summary))
    directory.set_deleted_trials([0])
    copy = recorded_study(directory, storage)
    assert [trial.state.name for trial in copy.get_trials()] == ["WAITING", "COMPLETE"]
    assert recorded_manifest(copy) == MANIFEST


def test_storage_is_only_read(open_search, directory, storage):
    open_search().ask()
    path = Path(storage.removeprefix("sqlite:///"))
    before = path.read_bytes()
    assert len(recorded_study(directory, storage).get_trials()) == 1
    assert path.read_bytes() == before


def test_missing_study_or_storage_is_none(directory, storage, tmp_path):
    assert recorded_study(directory, storage) is None
    assert recorded_study(directory, f"sqlite:///{tmp_path}/none.db") is None
    assert not (tmp_path / "none.db").exists()


def test_unreadable_storage_is_an_error(directory, tmp_path):
    (tmp_path / "broken.db").write_text("not a database")
    with pytest.raises(ZooError, match=r"cannot open the Optuna storage .*broken\.db"):
        recorded_study(directory, f"sqlite:///{tmp_path}/broken.db")
