"""The tracker in its thread: no trial waits for it, and none of its errors ends a study."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.errors import ZooError
from zoo.events import EpochEnd, Event, Finished, Started
from zoo.record import TrialDirectory
from zoo.tracking import BackgroundTracker, Store, StoreAway, StudySummary, StudyTracker, trial_states

FOLDER = Path("nowhere")
TIMEOUT_S = 240.0  # only a test that would hang waits so long

STARTED = Started(0.0)
EPOCH = EpochEnd(0.0, 1, {})
FINISHED = Finished(0.0, "complete")


class FakeWriter:
    """A writer that keeps the names of the events, and fails where a test wants it to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.is_reachable = True
        self.deleted: set[int] = set()
        self.refuses: Callable[[int, str], bool] = lambda number, name: False

    def record(
        self, number: int, config: Any, events: Sequence[Event], folder: Path, *, keep_model: bool = True
    ) -> bool:
        if not keep_model:
            self.calls.append((number, "without its model"))
        for event in events:
            if not self.is_reachable:
                raise ConnectionError("connection refused")
            if self.refuses(number, event.name):
                raise ValueError(f"refused {event.name}")
            if number not in self.deleted:
                self.calls.append((number, event.name))
        return number not in self.deleted

    def end_with_problem(self, number: int, config: Any, event: Finished, problem: str) -> None:
        self.calls.append((number, "gave up", problem))

    def remove_model(self, number: int) -> None:
        if not self.is_reachable:
            raise ConnectionError("connection refused")
        if self.refuses(number, "removal"):
            raise ValueError("refused the removal")
        self.calls.append((number, "model removed"))

    def record_summary(self, summary: StudySummary) -> None:
        if self.refuses(-1, "summary"):
            raise ValueError("refused the summary")
        self.calls.append(("summary", summary))

    def finish(self, status: str) -> None:
        self.calls.append((status,))

    @property
    def store(self) -> FakeWriter:
        return self

    def answers(self) -> bool:
        return self.is_reachable


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter()


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def background(writer: FakeWriter, problems: list[str]) -> Iterator[BackgroundTracker]:
    tracker = BackgroundTracker(lambda: writer, on_problem=problems.append, retry_s=0.0)
    yield tracker
    tracker.close(timeout=TIMEOUT_S)


def logged_trial(folder: Path, events: Sequence[Event]) -> TrialDirectory:
    """A trial directory with these events in its log."""
    trial = TrialDirectory(folder)
    trial.create(CONFIG)
    for event in events:
        trial.append(event)
    return trial


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_events_arrive_in_order(background: BackgroundTracker, writer: FakeWriter) -> None:
    for event in (STARTED, EPOCH, EPOCH, FINISHED):
        background.put(7, CONFIG, [event], FOLDER)
    assert background.close("KILLED", timeout=TIMEOUT_S)
    assert writer.calls == [(7, "started"), (7, "epoch_end"), (7, "epoch_end"), (7, "finished"), ("KILLED",)]
    assert background.recorded_trials() == [7]


def test_summary_is_recorded_last(background: BackgroundTracker, writer: FakeWriter) -> None:
    summary = StudySummary("12 trials", 3, [3, 1])
    background.record_summary(summary)
    background.put(7, CONFIG, [FINISHED], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [(7, "finished"), ("summary", summary), ("FINISHED",)]


def test_refused_summary_does_not_keep_the_run_open(
    background: BackgroundTracker, writer: FakeWriter, problems: list[str]
) -> None:
    writer.refuses = lambda number, name: name == "summary"
    background.record_summary(StudySummary(""))
    assert background.close(timeout=TIMEOUT_S)
    assert problems == ["MLflow refused the results of the study: refused the summary"]
    assert writer.calls == [("FINISHED",)]


def test_removed_model_is_deleted_here_too(
    background: BackgroundTracker, writer: FakeWriter, tmp_path: Path
) -> None:
    folder = examples.make_folder(tmp_path / "7")
    (folder / "model.keras").write_bytes(b"")
    background.put(7, CONFIG, [FINISHED], folder)
    wait_for(lambda: background.recorded_trials() == [7])
    background.remove_model(7, folder)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [(7, "finished"), (7, "model removed"), ("FINISHED",)]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "output.log"]


def test_model_that_is_not_kept_is_never_sent(
    writer: FakeWriter, problems: list[str], tmp_path: Path
) -> None:
    opened, drawn = threading.Event(), []

    def open_late() -> FakeWriter:
        opened.wait(TIMEOUT_S)
        return writer

    background = BackgroundTracker(open_late, draw=lambda folder, config: drawn.append(folder))
    background.put(7, CONFIG, [FINISHED], tmp_path)
    background.remove_model(7, tmp_path)
    opened.set()
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls[0] == (7, "without its model")
    assert drawn == []


def test_removal_is_repeated_when_mlflow_answers_again(
    background: BackgroundTracker, writer: FakeWriter, tmp_path: Path
) -> None:
    writer.is_reachable = False
    background.remove_model(7, tmp_path)
    wait_for(lambda: background._is_offline)
    writer.is_reachable = True
    assert background.close(timeout=TIMEOUT_S)
    assert (7, "model removed") in writer.calls


def test_refused_removal_is_reported_and_repeated_later(
    background: BackgroundTracker, writer: FakeWriter, problems: list[str], tmp_path: Path
) -> None:
    writer.refuses = lambda number, name: name == "removal"
    background.remove_model(7, tmp_path)
    assert background.close(timeout=TIMEOUT_S)
    assert problems == [
        "MLflow refused to remove the model of trial 7: refused the removal; it is removed later",
        "MLflow still has the model of trial 7; the next `zoo tune` removes it.",
    ]


def test_slow_writer_blocks_no_trial(writer: FakeWriter) -> None:
    opened = threading.Event()

    def open_slowly() -> FakeWriter:
        opened.wait(TIMEOUT_S)
        return writer

    background = BackgroundTracker(open_slowly)
    for _ in range(1000):
        background.put(1, CONFIG, [EPOCH], FOLDER)
    assert not background.ready(timeout=0)
    assert not background.close(timeout=0)
    assert writer.calls == []
    assert background.is_running
    opened.set()
    assert background.close(timeout=TIMEOUT_S)
    assert len(writer.calls) >= 1001
    assert not background.is_running


def test_opening_error_is_raised_by_ready(problems: list[str]) -> None:
    def fail() -> FakeWriter:
        raise ZooError("No MLflow server answers at http://127.0.0.1:1.")

    background = BackgroundTracker(fail, on_problem=problems.append)
    with pytest.raises(ZooError, match="No MLflow server answers"):
        background.ready(TIMEOUT_S)
    background.put(1, CONFIG, [STARTED], FOLDER)
    assert not background.close(timeout=TIMEOUT_S)
    assert problems == []


def test_refused_event_delays_no_other_trial(
    background: BackgroundTracker, writer: FakeWriter, problems: list[str]
) -> None:
    writer.refuses = lambda number, name: name == "epoch_end" and (8, "started") not in writer.calls
    for event in (STARTED, EPOCH, EPOCH, FINISHED):
        background.put(7, CONFIG, [event], FOLDER)
    background.put(8, CONFIG, [STARTED], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [
        (7, "started"), (7, "finished"), (8, "started"), (7, "epoch_end"), (7, "epoch_end"), ("FINISHED",),
    ]  # fmt: skip
    assert problems == ["MLflow refused an event of trial 7: refused epoch_end; it is sent again later"]
    assert background.recorded_trials() == [7]


def test_trial_without_an_epoch_is_incomplete(
    background: BackgroundTracker, writer: FakeWriter, problems: list[str], tmp_path: Path
) -> None:
    writer.refuses = lambda number, name: (number, name) == (7, "epoch_end")
    for number in (7, 8):
        trial = logged_trial(tmp_path / str(number), [STARTED, EPOCH, EPOCH, FINISHED])
        for event in trial.events():
            background.put(number, CONFIG, [event], trial.path)
    assert not background.close(timeout=TIMEOUT_S)
    assert writer.calls == [
        (7, "started"), (7, "finished"), (8, "started"), (8, "epoch_end"), (8, "epoch_end"), (8, "finished"),
        (7, "gave up", "refused epoch_end"), ("FINISHED",),
    ]  # fmt: skip
    assert background.recorded_trials() == [8]
    assert problems[-1] == "MLflow does not have all events of trial 7."


def test_refused_end_gets_a_problem_tag(
    background: BackgroundTracker, writer: FakeWriter, problems: list[str], tmp_path: Path
) -> None:
    writer.refuses = lambda number, name: name == "finished"
    trial = logged_trial(tmp_path / "007", [STARTED, FINISHED])
    for event in trial.events():
        background.put(7, CONFIG, [event], trial.path)
    assert not background.close(timeout=TIMEOUT_S)
    assert writer.calls == [(7, "started"), (7, "gave up", "refused finished"), ("FINISHED",)]
    assert problems[-1] == "MLflow does not have all events of trial 7."


def test_outage_loses_no_event(
    background: BackgroundTracker, writer: FakeWriter, problems: list[str]
) -> None:
    background.put(7, CONFIG, [STARTED], FOLDER)
    wait_for(lambda: writer.calls == [(7, "started")])
    writer.is_reachable = False
    for event in (EPOCH, FINISHED):
        background.put(7, CONFIG, [event], FOLDER)
    background.put(8, CONFIG, [STARTED], FOLDER)
    wait_for(lambda: bool(problems))
    assert problems == [
        "MLflow stopped answering (connection refused); the trials continue, and their events are sent later."
    ]
    assert writer.calls == [(7, "started")]
    writer.is_reachable = True
    background.put(8, CONFIG, [EPOCH], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [
        (7, "started"), (7, "epoch_end"), (7, "finished"), (8, "started"), (8, "epoch_end"), ("FINISHED",),
    ]  # fmt: skip
    assert background.recorded_trials() == [7]


def test_unreachable_store_is_tried_again_later(writer: FakeWriter) -> None:
    requests = []

    def answers() -> bool:
        requests.append(True)
        return False

    writer.answers = answers  # type: ignore[method-assign]
    writer.is_reachable = False
    background = BackgroundTracker(lambda: writer, retry_s=3600)
    for _ in range(100):
        background.put(7, CONFIG, [EPOCH], FOLDER)
    assert not background.close(timeout=TIMEOUT_S)
    assert len(requests) == 2  # after the first event, and at the end
    assert writer.calls == []


def test_several_events_are_recorded_together(background: BackgroundTracker, writer: FakeWriter) -> None:
    background.put(7, CONFIG, [STARTED, EPOCH, FINISHED], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [(7, "started"), (7, "epoch_end"), (7, "finished"), ("FINISHED",)]
    assert background.recorded_trials() == [7]


def test_trial_deleted_in_mlflow_is_not_counted(background: BackgroundTracker, writer: FakeWriter) -> None:
    writer.deleted = {7}
    for number in (7, 8):
        background.put(number, CONFIG, [STARTED, FINISHED], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert background.recorded_trials() == [8]


def test_figures_are_drawn_before_the_end_is_recorded(writer: FakeWriter, problems: list[str]) -> None:
    def draw(folder: Path, config: Mapping[str, Any]) -> None:
        writer.calls.append(("drew", folder, config["seed"]))

    background = BackgroundTracker(lambda: writer, draw=draw)
    background.put(7, CONFIG, [FINISHED], FOLDER)
    background.put(8, CONFIG, [Finished(0.0, "failed")], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [("drew", FOLDER, 7), (7, "finished"), (8, "finished"), ("FINISHED",)]


def test_figure_error_is_reported_once(writer: FakeWriter, problems: list[str]) -> None:
    def draw(folder: Path, config: Mapping[str, Any]) -> None:
        raise ValueError("no epochs")

    background = BackgroundTracker(lambda: writer, draw=draw, on_problem=problems.append)
    for number in (7, 8):
        background.put(number, CONFIG, [FINISHED], FOLDER)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [(7, "finished"), (8, "finished"), ("FINISHED",)]
    assert problems == ["the figures of trial 7 were not drawn: no epochs"]


def test_error_in_listener_is_ignored(writer: FakeWriter) -> None:
    def listen(text: str) -> None:
        raise RuntimeError("the terminal is closed")

    writer.refuses = lambda number, name: True
    background = BackgroundTracker(lambda: writer, on_problem=listen)
    background.put(7, CONFIG, [EPOCH], FOLDER)
    background.put(7, CONFIG, [FINISHED], FOLDER)
    assert not background.close(timeout=TIMEOUT_S)
    assert ("FINISHED",) in writer.calls


def test_second_close_has_no_effect(background: BackgroundTracker, writer: FakeWriter) -> None:
    assert background.close(timeout=TIMEOUT_S)
    assert background.close(timeout=TIMEOUT_S)
    assert writer.calls == [("FINISHED",)]


def test_study_is_recorded_in_mlflow(local_store: Store, tmp_path: Path, model_file: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", model_file)
    background = BackgroundTracker(lambda: StudyTracker(local_store, examples.facts()))
    for event in examples.events():
        background.put(7, CONFIG, [event], folder)
    assert background.close(timeout=TIMEOUT_S)
    experiment_id = str(local_store.experiment_id("digits_cnn"))
    statuses = {run.info.run_name: run.info.status for run in examples.all_runs(local_store, experiment_id)}
    assert statuses == {"digits_cnn": "FINISHED", "trial-007": "FINISHED"}


def test_refused_epoch_is_added_by_next_process(
    local_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = examples.make_folder(tmp_path / "007")
    writer = StudyTracker(local_store, examples.facts())
    record = writer.record

    def refuse_first_epoch(
        number: int, config: Any, events: Sequence[Event], folder: Path, **options: Any
    ) -> bool:
        if any(isinstance(event, EpochEnd) and event.epoch == 1 for event in events):
            raise ValueError("refused")
        return record(number, config, events, folder, **options)

    monkeypatch.setattr(writer, "record", refuse_first_epoch)
    background = BackgroundTracker(lambda: writer)
    for event in examples.events("pruned"):
        TrialDirectory(folder).append(event)
        background.put(7, CONFIG, [event], folder)
    assert not background.close(timeout=TIMEOUT_S)
    run = examples.run_of(writer, 7)
    assert run.info.status == "KILLED"
    assert run.data.tags["zoo.problem"] == "refused"
    assert trial_states(local_store, "digits_cnn", "abc123") == {7: "incomplete"}

    again = BackgroundTracker(lambda: StudyTracker(local_store, examples.facts()))
    again.put(7, CONFIG, examples.events("pruned"), folder)
    assert again.close(timeout=TIMEOUT_S)
    assert len(examples.history(local_store, run, "loss")) == 3
    assert trial_states(local_store, "digits_cnn", "abc123") == {7: "complete"}


def test_files_are_added_by_next_process(local_store: Store, tmp_path: Path, model_file: Path) -> None:
    """The database can be written, the folder for files cannot."""
    writer = StudyTracker(local_store, examples.facts())
    trials = {
        7: (examples.events(), examples.make_folder(tmp_path / "007", model_file)),
        8: (examples.events("pruned"), examples.make_folder(tmp_path / "008")),
    }
    shutil.rmtree(tmp_path / "mlruns")
    (tmp_path / "mlruns").touch()
    background = BackgroundTracker(lambda: writer)
    for number, (events, folder) in trials.items():
        for event in events:
            TrialDirectory(folder).append(event)
            background.put(number, CONFIG, [event], folder)
    assert not background.close(timeout=TIMEOUT_S)
    assert background.recorded_trials() == []
    for number, status in [(7, "FINISHED"), (8, "KILLED")]:
        run = examples.run_of(writer, number)
        assert run.info.status == status
        assert "mlruns" in run.data.tags["zoo.problem"]
        assert run.data.params["architecture"] == "conv_net"
        assert len(examples.history(local_store, run, "loss")) == 3
    assert trial_states(local_store, "digits_cnn", "abc123") == {7: "incomplete", 8: "incomplete"}

    (tmp_path / "mlruns").unlink()
    again = BackgroundTracker(lambda: StudyTracker(local_store, examples.facts()))
    for number, (events, folder) in trials.items():
        again.put(number, CONFIG, events, folder)
    assert again.close(timeout=TIMEOUT_S)
    assert again.recorded_trials() == [7, 8]
    for number in trials:
        run = examples.run_of(writer, number)
        assert "config.json" in examples.artifacts(local_store, run)
        assert "zoo.problem" not in run.data.tags
    assert trial_states(local_store, "digits_cnn", "abc123") == {7: "complete", 8: "complete"}


def test_outage_of_server_loses_no_event(
    server_address: str, tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client and the server are real; during the outage the client uses a proxy that does not exist."""
    from zoo.tracking import connect

    folder = examples.make_folder(tmp_path / "007", model_file)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    tracker = StudyTracker(connect(server_address), examples.facts("outage"))
    problems: list[str] = []
    background = BackgroundTracker(lambda: tracker, on_problem=problems.append, retry_s=0.0)
    started, *rest = examples.events()
    background.put(7, CONFIG, [started], folder)
    wait_for(lambda: (run := examples.run_of(tracker, 7)) is not None and "parameters" in run.data.metrics)

    with monkeypatch.context() as outage:
        outage.setenv("http_proxy", "http://127.0.0.1:9")
        for event in rest:
            background.put(7, CONFIG, [event], folder)
        wait_for(lambda: bool(problems))
    assert background.close(timeout=TIMEOUT_S)
    assert len(problems) == 1
    assert problems[0].startswith("MLflow stopped answering (")
    assert background.recorded_trials() == [7]
    run = examples.run_of(tracker, 7)
    assert run.info.status == "FINISHED"
    assert len(examples.history(tracker.store, run, "loss")) == 3


class TestAway:
    """MLflow does not answer at the start, or for a while."""

    def test_events_are_sent_when_it_answers(self, writer: FakeWriter, problems: list[str]) -> None:
        notes: list[str] = []
        is_away = [True]

        def open_tracker() -> FakeWriter:
            if is_away[0]:
                raise StoreAway("no MLflow server answers")
            return writer

        tracker = BackgroundTracker(
            open_tracker, on_problem=problems.append, on_note=notes.append, retry_s=0.01
        )
        with pytest.raises(StoreAway):
            tracker.ready()
        tracker.put(7, CONFIG, [STARTED], FOLDER)
        tracker.put(7, CONFIG, [EPOCH], FOLDER)
        is_away[0] = False
        wait_for(lambda: len(writer.calls) == 2)  # without a further event
        tracker.put(7, CONFIG, [FINISHED], FOLDER)
        assert tracker.close(timeout=TIMEOUT_S)
        assert [call[1] for call in writer.calls[:3]] == ["started", "epoch_end", "finished"]
        assert (notes, problems) == (["MLflow answers again; it gets what it lacks"], [])

    def test_study_ends_while_it_is_away(self, problems: list[str]) -> None:
        def open_tracker() -> StudyTracker:
            raise StoreAway("no MLflow server answers")

        tracker = BackgroundTracker(open_tracker, on_problem=problems.append)
        tracker.put(7, CONFIG, [FINISHED], FOLDER)
        assert not tracker.close(timeout=TIMEOUT_S)
        assert tracker.recorded_trials() == []

    def test_each_outage_is_one_line_and_its_end_another(
        self, writer: FakeWriter, problems: list[str]
    ) -> None:
        tracker = BackgroundTracker(
            lambda: writer, on_problem=problems.append, on_note=problems.append, retry_s=0.01
        )
        for number in range(2):
            writer.is_reachable = False
            tracker.put(number, CONFIG, [STARTED], FOLDER)
            wait_for(lambda number=number: len(problems) == 2 * number + 1)
            tracker.put(number, CONFIG, [EPOCH], FOLDER)
            writer.is_reachable = True
            wait_for(lambda number=number: len(problems) == 2 * number + 2)
        assert tracker.close(timeout=TIMEOUT_S)
        assert [text.split(" (")[0].split(";")[0] for text in problems] == [
            "MLflow stopped answering",
            "MLflow answers again",
        ] * 2
        assert [call for call in writer.calls if call[0] in (0, 1)] == [
            (number, name) for number in range(2) for name in ("started", "epoch_end")
        ]
