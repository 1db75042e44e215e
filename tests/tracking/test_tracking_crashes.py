"""A process that is killed after one of its calls to MLflow: replaying its events completes the run."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.tracking import Store, StudyTracker


class Killed(BaseException):
    """The end of the process: no code catches it."""


class MortalClient:
    """Passes each call to the real client; the process ends after call number `last`."""

    def __init__(self, client: Any, last: int) -> None:
        self._client = client
        self._left = last

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self._left -= 1
            if self._left == 0:
                raise Killed
            return result

        return call


def record_study(store: Store, name: str, folder: Path) -> StudyTracker:
    tracker = StudyTracker(store, examples.facts(name))
    examples.record(tracker, 7, examples.events(epochs=2), folder)
    tracker.finish()
    return tracker


def comparable(tracker: StudyTracker) -> dict[str, Any]:
    held = examples.content(tracker)
    held["runs"]["study"] = held["runs"].pop(tracker.facts.name)
    for entry in [*held["runs"].values(), *held["models"]]:
        del entry["tags"]["zoo.study"]
    return held


def test_process_killed_after_any_call_is_completed(
    local_store: Store, tmp_path: Path, model_file: Path
) -> None:
    folder = examples.make_folder(tmp_path / "007", model_file)
    undisturbed = comparable(record_study(local_store, "undisturbed", folder))

    for last in itertools.count(1):
        name = f"killed-{last}"
        try:
            record_study(Store(local_store.uri, MortalClient(local_store.client, last)), name, folder)
        except Killed:
            killed = StudyTracker(local_store, examples.facts(name))
            killed.record(7, CONFIG, examples.events(epochs=2), folder)
            killed.finish()
            assert comparable(killed) == undisturbed, f"killed after call {last}"
        else:
            break
    assert last > 20


@pytest.mark.parametrize("done", ["create_logged_model", "log_model_artifacts", "log_outputs"])
def test_upload_interrupted_over_http_is_completed(
    server_address: str, tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch, done: str
) -> None:
    from zoo.tracking import connect

    store = connect(server_address)
    folder = examples.make_folder(tmp_path / "007", model_file)
    name = f"killed-after-{done}"
    method = getattr(store.client, done)

    def last_call(*args: Any, **kwargs: Any) -> None:
        method(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store.client, done, last_call)
        with pytest.raises(Killed):
            record_study(store, name, folder)
    (pending,) = examples.logged_models(store, str(store.experiment_id(name)))
    assert str(pending.status) == "PENDING"

    tracker = record_study(store, name, folder)
    (model,) = examples.logged_models(store, tracker.experiment_id)
    assert str(model.status) == "READY"
    assert model.model_id == pending.model_id
    assert examples.run_of(tracker, 7).info.status == "FINISHED"


def test_cut_off_model_file_is_refused(local_store: Store, tmp_path: Path, model_file: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", model_file)
    whole = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match="expected a file that Keras saved"):
        record_study(local_store, "cut-off", folder)
    (folder / "model.keras").write_bytes(whole)
    tracker = record_study(local_store, "cut-off", folder)
    assert [str(model.status) for model in examples.logged_models(local_store, tracker.experiment_id)] == [
        "READY"
    ]
