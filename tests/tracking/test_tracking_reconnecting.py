"""The connection of a study to a store that may be away, and the table of trials without MLflow."""

from __future__ import annotations

import socket

import pytest
import tracking_examples as examples

from zoo.errors import StudyError
from zoo.events import EpochEnd, Finished, Started
from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tracking import StoreAway, StoreConnection, TrackingError, compare, connect


@pytest.fixture
def nobody(monkeypatch):
    """The address of a server that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def test_server_that_does_not_answer_is_away(nobody):
    with pytest.raises(StoreAway, match=f"no MLflow server answers at {nobody}"):
        connect()


def test_connection_is_made_again_after_a_while():
    answers = [StoreAway("away"), StoreAway("away"), "the store"]

    def open_store():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    connection = StoreConnection(open_store, retry_s=0.0)
    with pytest.raises(StoreAway):
        connection.result()
    while connection.is_away:
        try:
            assert connection.result() == "the store"
        except StoreAway:
            continue
    assert (connection.result(), answers) == ("the store", [])


def test_end_of_a_study_does_not_wait_for_the_next_attempt():
    answers = [StoreAway("away"), "the store"]

    def open_store():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    connection = StoreConnection(open_store, retry_s=600.0)
    for _ in range(2):
        with pytest.raises(StoreAway):
            connection.result()
    connection.retry_now()
    assert connection.result() == "the store"


def test_other_error_stays():
    calls = []

    def open_store():
        calls.append(1)
        raise TrackingError("out-of-date database schema")

    connection = StoreConnection(open_store, retry_s=0.0)
    for _ in range(2):
        with pytest.raises(TrackingError, match="schema"):
            connection.result()
    assert (len(calls), connection.is_away) == (1, False)


class TestLocalTable:
    @pytest.fixture
    def directory(self, in_tmp):
        directory = StudyDirectory(in_tmp, "digits")
        directory.create()
        directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
        for number, value in enumerate([0.5, 0.9, None]):
            trial = directory.trial(number)
            trial.create(examples.CONFIG)
            trial.append(Started(1.0))
            trial.append(EpochEnd(2.0, 1, {"val_accuracy": 0.1}))
            if value is not None:
                trial.append(Finished(3.0, "complete", summary={"best_val_accuracy": value, "best_epoch": 1}))
        directory.trial(1).model_path.touch()
        return directory

    def test_has_the_trials_of_the_record(self, directory, nobody):
        table = compare("digits")
        assert list(table["trial"]) == [1, 0, 2]
        assert list(table["state"]) == ["complete", "complete", "running"]
        assert list(table["best_val_accuracy"][:2]) == [0.9, 0.5]
        assert table["model"][0] == str(directory.trial(1).model_path)
        assert nobody in table.attrs["problem"]

    def test_deleted_database_is_no_obstacle(self, directory, monkeypatch):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert list(compare("digits")["trial"]) == [1, 0, 2]

    def test_deleted_trial_is_left_out(self, directory, nobody):
        directory.set_deleted_trials([1])
        assert list(compare("digits")["trial"]) == [0, 2]

    def test_study_without_a_record_has_the_error_of_mlflow(self, directory, nobody):
        with pytest.raises(StoreAway):
            compare("other")
        with pytest.raises(StudyError):
            compare()
