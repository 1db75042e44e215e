"""Answers of MLflow that are lost, and the duplicates that they leave."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples

from zoo.tracking import (
    Store,
    StudyTracker,
    connect,
    leaderboard,
    promote,
    registered_versions,
    run_model_address,
)
from zoo.tracking import _duplicates as module
from zoo.tracking._duplicates import create_once, merge_duplicates


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.0, 0.0))


class LosingProxy(ThreadingHTTPServer):
    """Forwards requests to an MLflow server; the first answer to a POST to each of `lost` never arrives."""

    def __init__(self, server: str, lost: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.server = server
        self.lost = set(lost)
        self.posts: list[str] = []


class _Forward(BaseHTTPRequestHandler):
    server: LosingProxy

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
        request = urllib.request.Request(self.server.server + self.path, body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as answer:
                status, content, kind = answer.status, answer.read(), answer.headers.get_content_type()
        except urllib.error.HTTPError as error:
            status, content, kind = error.code, error.read(), "application/json"
        if self.command == "POST":
            name = self.path.partition("/mlflow/")[2]
            self.server.posts.append(name)
            if name in self.server.lost:
                self.server.lost.remove(name)
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def proxy(server_address: str, request: pytest.FixtureRequest) -> Iterator[LosingProxy]:
    lost = getattr(request, "param", ("runs/create", "logged-models"))
    with LosingProxy(server_address, lost) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


def models(store: Store, experiment_id: str) -> list[tuple[str, str]]:
    found = store.client.search_logged_models([experiment_id])
    return sorted((str(model.status), model.name) for model in found)


def test_lost_answers_leave_no_duplicate(proxy: LosingProxy, folder: Path) -> None:
    store = connect(f"http://127.0.0.1:{proxy.server_address[1]}")
    tracker = StudyTracker(store, examples.facts(name="lost_answers", uid="lost"))
    examples.record(tracker, 7, examples.events(), folder)
    assert not proxy.lost, "both answers were lost"
    assert proxy.posts.count("runs/create") == 2  # the study's, whose answer was lost, and the trial's
    assert len(examples.all_runs(store, tracker.experiment_id)) == 2
    assert models(store, tracker.experiment_id) == [("READY", "trial-007")]
    table = leaderboard("lost_answers", store)
    assert list(table["state"]) == ["complete"]
    assert table["model"][0].startswith("models:/m-")


@pytest.mark.parametrize("proxy", [("registered-models/create", "model-versions/create")], indirect=True)
def test_lost_answers_leave_no_second_version(proxy: LosingProxy, folder: Path) -> None:
    store = connect(f"http://127.0.0.1:{proxy.server_address[1]}")
    tracker = StudyTracker(store, examples.facts(name="lost_versions", uid="versions"))
    examples.record(tracker, 7, examples.events(), folder)
    address = run_model_address(store, examples.run_of(tracker, 7).info.run_id)
    assert promote(store, "lost_versions", address, examples.INFO).aliases == ["champion"]
    assert not proxy.lost, "both answers were lost"
    assert [one.version for one in registered_versions(store, "lost_versions")] == [1]


class TestCreateOnce:
    def test_error_is_raised_after_three_attempts(self) -> None:
        calls: list[str] = []

        def create() -> None:
            calls.append("create")
            raise ConnectionError("no answer")

        with pytest.raises(ConnectionError, match="no answer"):
            create_once(create, lambda: calls.append("find"))
        assert calls == ["create", "find"] * 3

    def test_mlflow_does_not_repeat_the_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import os

        for value in ("5", None):
            if value is None:
                monkeypatch.delenv(module._RETRIES)
            else:
                monkeypatch.setenv(module._RETRIES, value)
            assert create_once(lambda: os.environ[module._RETRIES], lambda: None) == "0"
            assert os.environ.get(module._RETRIES) == value


class TestMerging:
    """Duplicates that an earlier version left."""

    @pytest.fixture
    def doubled(self, local_store: Store, folder: Path) -> StudyTracker:
        """A study with two runs and a trial with two runs; an unfinished model beside the trial's."""
        tracker = StudyTracker(local_store, examples.facts())
        examples.record(tracker, 7, examples.events(), folder)
        client, run = local_store.client, examples.run_of(tracker, 7)
        parent = client.get_run(tracker.run_id)
        for original in (parent, run):
            # Later than the original, as the repetition of a request is.
            client.create_run(
                tracker.experiment_id,
                tags=dict(original.data.tags),
                start_time=original.info.start_time + 10**12,
                run_name=original.info.run_name,
            )
        client.create_logged_model(tracker.experiment_id, name="trial-007", source_run_id=run.info.run_id)
        return tracker

    def test_leaderboard_is_right_before_they_are_merged(self, doubled: StudyTracker) -> None:
        table = leaderboard("digits_cnn", doubled.store)
        assert list(zip(table["trial"], table["state"], table["best_val_accuracy"], strict=True)) == [
            (7, "complete", 0.9)
        ]

    def test_next_run_of_the_study_merges_them(self, doubled: StudyTracker) -> None:
        store, experiment_id = doubled.store, doubled.experiment_id
        assert models(store, experiment_id) == [("PENDING", "trial-007"), ("READY", "trial-007")]
        again = StudyTracker(store, examples.facts())
        assert again.run_id == doubled.run_id
        runs = examples.all_runs(store, experiment_id)
        assert sorted(run.data.tags["zoo.kind"] for run in runs) == ["study", "trial"]
        assert models(store, experiment_id) == [("READY", "trial-007")]
        (trial,) = (run for run in runs if run.data.tags["zoo.kind"] == "trial")
        assert trial.info.status == "FINISHED"
        assert list(leaderboard("digits_cnn", store)["state"]) == ["complete"]

    def test_trials_of_a_duplicate_get_the_remaining_parent(self, doubled: StudyTracker) -> None:
        store, experiment_id = doubled.store, doubled.experiment_id
        (other,) = (
            run
            for run in examples.all_runs(store, experiment_id)
            if run.data.tags["zoo.kind"] == "study" and run.info.run_id != doubled.run_id
        )
        for run in examples.all_runs(store, experiment_id):
            if run.data.tags["zoo.kind"] == "trial" and run.info.status == "RUNNING":
                store.log(
                    run.info.run_id, tags={"mlflow.parentRunId": other.info.run_id, "zoo.uid": "abc123-8"}
                )
        merge_duplicates(store, experiment_id, "abc123")
        trials = [
            run for run in examples.all_runs(store, experiment_id) if run.data.tags["zoo.kind"] == "trial"
        ]
        assert len(trials) == 2
        assert len({run.data.tags["mlflow.parentRunId"] for run in trials}) == 1

    def test_merging_again_changes_nothing(self, doubled: StudyTracker) -> None:
        store, experiment_id = doubled.store, doubled.experiment_id
        merge_duplicates(store, experiment_id, "abc123")
        before = [run.to_dictionary() for run in examples.all_runs(store, experiment_id)]
        merge_duplicates(store, experiment_id, "abc123")
        assert [run.to_dictionary() for run in examples.all_runs(store, experiment_id)] == before
