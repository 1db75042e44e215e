"""The tracker in its thread: nothing waits for it, nothing it meets ends a study."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.errors import ZooError
from zoo.tracking import BackgroundTracker, Store, StudyTracker, ended_runs

FOLDER = Path("nowhere")
SECONDS = 30.0


class Pretend:
    """A writer that only remembers, and fails where a test wants it to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.reachable = True
        self.refuses: Callable[[int, str], bool] = lambda number, kind: False

    def handle(self, number: int, config: Mapping[str, Any], event: Mapping[str, Any], folder: Path) -> None:
        if not self.reachable:
            raise ConnectionError("connection refused")
        if self.refuses(number, event["event"]):
            raise ValueError(f"refused {event['event']}")
        self.calls.append((number, event["event"]))

    def replay(self, number: int, config: Any, events: Any, folder: Path) -> None:
        for event in events:
            self.handle(number, config, event, folder)

    def give_up(self, number: int, config: Any, event: Any, problem: str) -> None:
        self.calls.append((number, "gave up", problem))

    def show_front(self, numbers: Any, figure: Path | None) -> None:
        if self.refuses(-1, "front"):
            raise ValueError("refused the front")
        self.calls.append(("front", numbers, figure))

    def finish(self, status: str) -> None:
        self.calls.append((status,))

    def answers(self) -> bool:
        return self.reachable


@pytest.fixture
def pretend() -> Pretend:
    return Pretend()


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def background(pretend: Pretend, problems: list[str]) -> Iterator[BackgroundTracker]:
    tracker = BackgroundTracker(lambda: pretend, on_problem=problems.append, retry_seconds=0.0)
    yield tracker
    tracker.close(timeout=SECONDS)


def event(kind: str, **values: Any) -> dict[str, Any]:
    return {"event": kind, "time": 0.0, "state": "complete", "reason": "", "summary": {}, **values}


def wait_for(condition: Callable[[], bool]) -> None:
    """Until the thread has come so far."""
    give_up_at = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def test_events_arrive_in_order(background: BackgroundTracker, pretend: Pretend) -> None:
    for kind in ("started", "epoch", "epoch", "finished"):
        background.put(7, CONFIG, event(kind), FOLDER)
    assert background.close("KILLED", timeout=SECONDS)
    assert pretend.calls == [(7, "started"), (7, "epoch"), (7, "epoch"), (7, "finished"), ("KILLED",)]
    assert background.recorded() == [7]


def test_the_front_is_shown_when_everything_else_is_in(
    background: BackgroundTracker, pretend: Pretend
) -> None:
    background.show_front([3, 1], FOLDER / "front.png")
    background.put(7, CONFIG, event("finished"), FOLDER)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [(7, "finished"), ("front", [3, 1], FOLDER / "front.png"), ("FINISHED",)]


def test_a_front_that_is_not_taken_is_told(
    background: BackgroundTracker, pretend: Pretend, problems: list[str]
) -> None:
    pretend.refuses = lambda number, kind: kind == "front"
    background.show_front([3, 1], None)
    assert not background.close(timeout=SECONDS)
    assert problems == ["MLflow did not take the end of the study: refused the front"]


def test_nobody_waits_for_a_slow_tracker(pretend: Pretend) -> None:
    opened = threading.Event()

    def open_slowly() -> Pretend:
        opened.wait(SECONDS)
        return pretend

    background = BackgroundTracker(open_slowly)
    for _ in range(1000):
        background.put(1, CONFIG, event("epoch"), FOLDER)
    assert not background.ready(timeout=0)
    assert not background.close(timeout=0)
    assert pretend.calls == []
    opened.set()
    assert background.close(timeout=SECONDS)
    assert len(pretend.calls) >= 1001


def test_a_tracker_that_cannot_be_opened(problems: list[str]) -> None:
    def fail() -> Pretend:
        raise ZooError("No MLflow server answers at http://127.0.0.1:1.")

    background = BackgroundTracker(fail, on_problem=problems.append)
    with pytest.raises(ZooError, match="No MLflow server answers"):
        background.ready(SECONDS)
    background.put(1, CONFIG, event("started"), FOLDER)
    assert not background.close(timeout=SECONDS)
    assert problems == []  # whoever waits for it is told


def test_one_event_that_is_refused_holds_up_no_other(
    background: BackgroundTracker, pretend: Pretend, problems: list[str]
) -> None:
    pretend.refuses = lambda number, kind: kind == "epoch" and (8, "started") not in pretend.calls
    for kind in ("started", "epoch", "epoch", "finished"):
        background.put(7, CONFIG, event(kind), FOLDER)
    background.put(8, CONFIG, event("started"), FOLDER)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [
        (7, "started"), (7, "finished"), (8, "started"), (7, "epoch"), (7, "epoch"), ("FINISHED",),
    ]  # fmt: skip
    assert problems == ["MLflow did not take an event of trial 7: refused epoch"]
    assert background.recorded() == [7]


def test_a_trial_that_lacks_an_epoch_is_not_whole(
    background: BackgroundTracker, pretend: Pretend, problems: list[str]
) -> None:
    pretend.refuses = lambda number, kind: (number, kind) == (7, "epoch")
    for number in (7, 8):
        for kind in ("started", "epoch", "epoch", "finished"):
            background.put(number, CONFIG, event(kind), FOLDER)
    assert not background.close(timeout=SECONDS)
    assert pretend.calls == [
        (7, "started"), (7, "finished"), (8, "started"), (8, "epoch"), (8, "epoch"), (8, "finished"),
        (7, "gave up", "refused epoch"), ("FINISHED",),
    ]  # fmt: skip
    assert background.recorded() == [8]
    assert problems[-1] == "MLflow does not have everything of trials 7."


def test_no_run_is_left_open(background: BackgroundTracker, pretend: Pretend, problems: list[str]) -> None:
    pretend.refuses = lambda number, kind: kind == "finished"
    background.put(7, CONFIG, event("started"), FOLDER)
    background.put(7, CONFIG, event("finished"), FOLDER)
    assert not background.close(timeout=SECONDS)
    assert pretend.calls == [(7, "started"), (7, "gave up", "refused finished"), ("FINISHED",)]
    assert problems[-1] == "MLflow does not have everything of trials 7."


def test_an_outage_loses_nothing(
    background: BackgroundTracker, pretend: Pretend, problems: list[str]
) -> None:
    background.put(7, CONFIG, event("started"), FOLDER)
    wait_for(lambda: pretend.calls == [(7, "started")])
    pretend.reachable = False
    for kind in ("epoch", "finished"):
        background.put(7, CONFIG, event(kind), FOLDER)
    background.put(8, CONFIG, event("started"), FOLDER)
    wait_for(lambda: bool(problems))
    assert problems == [
        "MLflow stopped answering (connection refused); the trials go on and are added later."
    ]
    assert pretend.calls == [(7, "started")]
    pretend.reachable = True
    background.put(8, CONFIG, event("epoch"), FOLDER)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [
        (7, "started"), (7, "epoch"), (7, "finished"), (8, "started"), (8, "epoch"), ("FINISHED",),
    ]  # fmt: skip
    assert background.recorded() == [7]


def test_a_store_that_went_away_is_left_alone_for_a_while(pretend: Pretend) -> None:
    asked = []

    def answers() -> bool:
        asked.append(True)
        return False

    pretend.answers = answers  # type: ignore[method-assign]
    pretend.reachable = False
    background = BackgroundTracker(lambda: pretend, retry_seconds=3600)
    for _ in range(100):
        background.put(7, CONFIG, event("epoch"), FOLDER)
    assert not background.close(timeout=SECONDS)
    assert len(asked) == 2  # when the first event was not taken, and at the end
    assert pretend.calls == []


def test_all_events_of_a_trial_at_once(background: BackgroundTracker, pretend: Pretend) -> None:
    background.replay(7, CONFIG, [event("started"), event("epoch"), event("finished")], FOLDER)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [(7, "started"), (7, "epoch"), (7, "finished"), ("FINISHED",)]
    assert background.recorded() == [7]


def test_figures_are_drawn_before_they_are_sent(pretend: Pretend, problems: list[str]) -> None:
    def draw(folder: Path, config: Mapping[str, Any]) -> None:
        pretend.calls.append(("drew", folder, config["seed"]))

    background = BackgroundTracker(lambda: pretend, draw=draw)
    background.put(7, CONFIG, event("finished"), FOLDER)
    background.put(8, CONFIG, event("finished", state="failed"), FOLDER)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [("drew", FOLDER, 7), (7, "finished"), (8, "finished"), ("FINISHED",)]


def test_a_figure_that_cannot_be_drawn(pretend: Pretend, problems: list[str]) -> None:
    def draw(folder: Path, config: Mapping[str, Any]) -> None:
        raise ValueError("no epochs")

    background = BackgroundTracker(lambda: pretend, draw=draw, on_problem=problems.append)
    for number in (7, 8):
        background.put(number, CONFIG, event("finished"), FOLDER)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [(7, "finished"), (8, "finished"), ("FINISHED",)]
    assert problems == ["The figures of trial 7 were not drawn: no epochs"]


def test_a_broken_listener(pretend: Pretend) -> None:
    def listen(text: str) -> None:
        raise RuntimeError("the terminal is gone")

    pretend.refuses = lambda number, kind: True
    background = BackgroundTracker(lambda: pretend, on_problem=listen)
    background.put(7, CONFIG, event("epoch"), FOLDER)
    background.put(7, CONFIG, event("finished"), FOLDER)
    assert not background.close(timeout=SECONDS)
    assert ("FINISHED",) in pretend.calls


def test_closing_twice(background: BackgroundTracker, pretend: Pretend) -> None:
    assert background.close(timeout=SECONDS)
    assert background.close(timeout=SECONDS)
    assert pretend.calls == [("FINISHED",)]


def test_with_mlflow_itself(local_store: Store, tmp_path: Path, model_file: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", model_file)
    background = BackgroundTracker(lambda: StudyTracker(local_store, examples.facts()))
    for said in examples.events():
        background.put(7, CONFIG, said, folder)
    assert background.close(timeout=SECONDS)
    experiment_id = str(local_store.experiment_id("digits_cnn"))
    statuses = {run.info.run_name: run.info.status for run in examples.all_runs(local_store, experiment_id)}
    assert statuses == {"digits_cnn": "FINISHED", "trial-007": "FINISHED"}


def test_an_epoch_that_mlflow_refused_comes_in_the_next_life(
    local_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = examples.make_folder(tmp_path / "007")
    writer = StudyTracker(local_store, examples.facts())
    handle = writer.handle

    def refuse_the_first(number: int, config: Any, event: Mapping[str, Any], folder: Path) -> None:
        if event.get("epoch") == 1:
            raise ValueError("refused")
        handle(number, config, event, folder)

    monkeypatch.setattr(writer, "handle", refuse_the_first)
    background = BackgroundTracker(lambda: writer)
    for said in examples.events("pruned"):
        background.put(7, CONFIG, said, folder)
    assert not background.close(timeout=SECONDS)
    run = examples.run_of(writer, 7)
    assert run.info.status == "KILLED"
    assert run.data.tags["zoo.problem"] == "refused"
    assert ended_runs("digits_cnn", "abc123", local_store) == set()

    again = BackgroundTracker(lambda: StudyTracker(local_store, examples.facts()))
    again.replay(7, CONFIG, examples.events("pruned"), folder)
    assert again.close(timeout=SECONDS)
    assert len(examples.history(local_store, run, "loss")) == 3
    assert ended_runs("digits_cnn", "abc123", local_store) == {"abc123-7"}


def test_where_no_file_can_be_written(local_store: Store, tmp_path: Path, model_file: Path) -> None:
    """The database takes everything; the next life of the study adds the files."""
    writer = StudyTracker(local_store, examples.facts())
    trials = {
        7: (examples.events(), examples.make_folder(tmp_path / "007", model_file)),
        8: (examples.events("pruned"), examples.make_folder(tmp_path / "008")),
    }
    shutil.rmtree(tmp_path / "mlruns")
    (tmp_path / "mlruns").touch()
    background = BackgroundTracker(lambda: writer)
    for number, (events, folder) in trials.items():
        for said in events:
            background.put(number, CONFIG, said, folder)
    assert not background.close(timeout=SECONDS)
    assert background.recorded() == []
    for number, status in [(7, "FINISHED"), (8, "KILLED")]:
        run = examples.run_of(writer, number)
        assert run.info.status == status
        assert "mlruns" in run.data.tags["zoo.problem"]
        assert run.data.params["architecture"] == "conv_net"
        assert len(examples.history(local_store, run, "loss")) == 3
    assert ended_runs("digits_cnn", "abc123", local_store) == set()

    (tmp_path / "mlruns").unlink()
    again = BackgroundTracker(lambda: StudyTracker(local_store, examples.facts()))
    for number, (events, folder) in trials.items():
        again.replay(number, CONFIG, events, folder)
    assert again.close(timeout=SECONDS)
    assert again.recorded() == [7, 8]
    for number in trials:
        run = examples.run_of(writer, number)
        assert "config.json" in examples.artifacts(local_store, run)
        assert "zoo.problem" not in run.data.tags
    assert ended_runs("digits_cnn", "abc123", local_store) == {"abc123-7", "abc123-8"}


def test_a_server_that_goes_away_and_comes_back(
    server_address: str, tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real client and server; the outage is a proxy to nowhere that the client is given."""
    from zoo.tracking import connect

    folder = examples.make_folder(tmp_path / "007", model_file)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    tracker = StudyTracker(connect(server_address), examples.facts("outage"))
    problems: list[str] = []
    background = BackgroundTracker(lambda: tracker, on_problem=problems.append, retry_seconds=0.0)
    started, *rest = examples.events()
    background.put(7, CONFIG, started, folder)
    wait_for(lambda: (run := examples.run_of(tracker, 7)) is not None and "parameters" in run.data.metrics)

    with monkeypatch.context() as outage:
        outage.setenv("http_proxy", "http://127.0.0.1:9")
        for said in rest:
            background.put(7, CONFIG, said, folder)
        wait_for(lambda: bool(problems))
    assert background.close(timeout=SECONDS)
    assert len(problems) == 1
    assert problems[0].startswith("MLflow stopped answering (")
    assert background.recorded() == [7]
    run = examples.run_of(tracker, 7)
    assert run.info.status == "FINISHED"
    assert len(examples.history(tracker.store, run, "loss")) == 3
