"""A session: the processes, files and connections a study needs, open while it is worked on."""

from __future__ import annotations

import json
import shlex
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from zoo.data.prepare import finish_preparing, start_preparing
from zoo.data.store import open_dataset, validation_split
from zoo.errors import one_line
from zoo.figures import draw_trial, trade_offs
from zoo.registry import plugin_versions
from zoo.study import StudyDefinition
from zoo.tracking import (
    BackgroundTracker,
    StudyFacts,
    StudyTracker,
    connect,
    ended_runs,
    is_new_store,
    model_address,
    preload,
)
from zoo.training.backend import check_backend
from zoo.trial import TrialConfig
from zoo.tuning.alone import run_alone
from zoo.tuning.champion import drop_copies, score_champion
from zoo.tuning.display import Display
from zoo.tuning.executor import LocalExecutor, ended
from zoo.tuning.interrupts import Interrupted, Interrupts
from zoo.tuning.manifest import manifest_of
from zoo.tuning.record import StudyRecord
from zoo.tuning.results import TrainResult, TuneResult
from zoo.tuning.search import OptunaSearch, redacted
from zoo.tuning.supervisor import Supervisor

Result = TypeVar("Result")

# How long MLflow may take in nothing whole at the end: a large model on a slow line is one thing, and
# whoever does not want to wait for it says so with Ctrl-C.
_LAST_WORDS_SECONDS = 300.0


class Session(AbstractContextManager["Session"]):
    """The processes, files and connections that one study needs, open while it is worked on.

    Keras (in the fork server), the dataset (in a process of its own) and MLflow (in a thread) get
    ready at the same time.
    """

    def __init__(self, definition: StudyDefinition, root: Path, jobs: int, display: Display) -> None:
        self.definition = definition
        self.display = display
        self.record = StudyRecord(root, definition.name)
        self.executor = LocalExecutor(jobs)
        self._heard: list[int] = []  # trials that MLflow had before this session
        self._split_images: dict[str, Any] = {}  # by the [validation] that cut them

    def __enter__(self) -> Session:
        check_backend()
        self.record.acquire()
        try:
            definition = self.definition
            preparing = start_preparing(
                definition.dataset,
                definition.validation,
                self.record.cache,
                self.record.folder / "prepare.log",
                plugin_versions(definition.dataset_entry),
            )
            self.executor.warm_up()
            self._is_new = is_new_store()
            if not self._is_new:  # else both cores have enough to do; the first trial leaves one idle
                _in_background(preload)
            self.display.phase("preparing the dataset, starting Keras …")
            try:
                self.prepared = finish_preparing(preparing, definition.dataset, self.display.preparing)
            finally:
                preparing.kill()
            self._store = _in_background(connect)  # a study without data leaves no database behind
        except BaseException:
            self._leave()
            raise
        if self.prepared.warning:
            self.display.problem(self.prepared.warning)
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self.executor.stop_all()
        self.display.end()
        self.record.release()

    def search_with(self, open_search: Callable[[dict[str, Any]], OptunaSearch]) -> TuneResult:
        """Run the study's trials, score the champion, close the record."""
        manifest = manifest_of(self.definition, self.prepared)
        if not self._is_new:  # nothing is begun where MLflow does not answer
            self._store.result()
        search = open_search(manifest)
        self.record.belong_to(search.uid(), self.definition.objectives)
        tracker = self.tracker(search.uid(), manifest)
        supervisor = Supervisor(self.definition, search, self.record, self.executor, tracker, self.display)
        tested: Mapping[str, float] = {}
        recorded = False
        status = "FAILED"
        with Interrupts() as interrupts:
            try:
                self._reconcile(supervisor, tracker, search)
                outcome = supervisor.run(interrupts)
                if outcome.interrupted is None and "test" in self.prepared.sizes:
                    try:
                        tested = self._score_champion(search, tracker, interrupts)
                    except Interrupted:
                        outcome = replace(outcome, interrupted=interrupts.exit_status)
                status = "KILLED" if outcome.interrupted is not None else "FINISHED"
            finally:
                try:
                    self.display.phase("finishing the record …")
                    self._show_front(search, tracker)
                finally:  # whatever else is lost: no run is left as if it were still at work
                    recorded = self._close(tracker, status, interrupts)
                drop_copies(self.record, search, [*self._heard, *tracker.recorded()])
        if interrupts.signum is not None:  # also where it came when the search was over
            outcome = replace(outcome, interrupted=interrupts.exit_status)
        best = outcome.best
        known = recorded or (best is not None and best[0] in [*self._heard, *tracker.recorded()])
        uri = self._model_address(search.uid(best[0]), recorded) if best is not None and known else ""
        return TuneResult(
            study=self.definition.name,
            objective=self.definition.objective,
            best=outcome.best,
            done=outcome.done,
            total=outcome.total,
            test_metrics=tested,
            model_uri=uri,
            interrupted=outcome.interrupted,
            objectives=self._metrics,
            front={
                number: dict(zip(self._metrics, values, strict=True))
                for number, values in outcome.front.items()
            },
            rejected=outcome.rejected,
            max_parameters=self.definition.search.max_parameters,
            architecture=self._architecture(best[0]) if best is not None else "",
            source=self.prepared.source,
            warning=self.prepared.warning,
        )

    def _architecture(self, number: int) -> str:
        """That of one trial, where there are several to choose from."""
        if len(self.definition.architecture.spaces) == 1:
            return ""
        config = self.record.trial(number).config() or {}
        return str(config.get("architecture", {}).get("name", ""))

    @property
    def _metrics(self) -> list[str]:
        return [objective.metric for objective in self.definition.objectives]

    def _show_front(self, search: OptunaSearch, tracker: BackgroundTracker) -> None:
        """Of several objectives: which trials no other beats, drawn and marked in MLflow."""
        objectives, front = self.definition.objectives, list(search.front())
        if len(objectives) == 1 or not front:
            return
        path: Path | None = self.record.folder / "figures" / "pareto_front.png"
        try:
            trade_offs(search.values(), objectives, str(path), title=self.definition.name)
        except Exception as error:  # a figure is no reason to lose what else there is to tell
            self.display.problem(f"the figure of the front was not drawn: {one_line(error)}")
            path = None
        tracker.show_front(front, path)

    def train(self, config: TrialConfig, trial: int | None) -> TrainResult:
        """Train `config` outside the search; `trial` says which one it repeats.

        Raises:
            TrialFailed: it did not come to its end.
        """
        self._mend_trainings()
        record = self.record.training()
        record.begin(config.as_json())
        name = "baseline" if trial is None else f"{trial:03d}"
        uid, training, number = uuid.uuid4().hex, f"training-{name}", trial or 0
        record.is_run({"uid": uid, "name": training, "number": number})
        tracker = self.tracker(uid, {}, training)
        status = "FAILED"
        with Interrupts() as interrupts:
            try:
                finished = run_alone(
                    number,
                    config,
                    self.record.cache,
                    record,
                    self.executor,
                    tracker,
                    self.display,
                    interrupts,
                )
                status = "FINISHED"
            finally:
                try:
                    self.display.phase("finishing the record …")
                finally:
                    if self._close(tracker, status, interrupts):
                        record.recorded()
        epochs = [event for event in record.events() if event["event"] == "epoch"]
        return TrainResult(
            study=self.definition.name,
            objective=config.objective,
            trial=trial,
            summary=finished["summary"],
            epochs=[event["metrics"] for event in epochs],
            folder=record.folder,
            folds=[event["fold"] for event in epochs if "fold" in event],
        )

    def tracker(self, uid: str, manifest: Mapping[str, Any], training: str = "") -> BackgroundTracker:
        """MLflow, in its thread; open when this returns, unless its database has to be made first.

        Args:
            training: the name of the run, where it is one outside the search.

        Raises:
            TrackingError: the store cannot be used.
        """
        definition, prepared = self.definition, self.prepared
        facts = StudyFacts(
            name=definition.name,
            uid=uid,
            objectives=definition.objectives,
            digest=prepared.digest,
            source=prepared.source,
            warning=prepared.warning,
            image_shape=prepared.image_shape,
            num_classes=len(prepared.class_names),
            plugins=definition.plugins(),
            definition=definition.text,
            manifest=manifest,
            training=training,
            command=redacted(shlex.join(["zoo", *sys.argv[1:]]))
            if sys.argv[0].endswith("zoo")
            else "zoo.tune",
        )
        tracker = BackgroundTracker(
            lambda: StudyTracker(self._store.result(), facts),
            draw=self._draw,
            on_problem=self.display.problem,
        )
        if not self._is_new:  # making a database takes seconds; the folder was seen to be writable
            tracker.ready()
        return tracker

    def _score_champion(
        self, search: OptunaSearch, tracker: BackgroundTracker, interrupts: Interrupts
    ) -> Mapping[str, float]:
        digest = self.prepared.digest
        return score_champion(search, self.record, tracker, digest, self.display, interrupts)

    def _draw(self, folder: Path, config: Mapping[str, Any]) -> None:
        trial = f"trial {int(folder.name)}" if folder.name.isdigit() else f"training {folder.name}"
        title = f"{self.definition.name}, {trial}"
        images = self._validation_images(config.get("validation", self.definition.validation))
        draw_trial(folder, images, self.prepared.class_names, title=title)

    def _validation_images(self, validation: Mapping[str, Any]) -> Any:
        """Of the split that a trial had; what is trained again has that of its record."""
        key = json.dumps(validation, sort_keys=True)
        if key not in self._split_images:
            cache, digest = self.record.cache, self.prepared.digest
            split = validation_split(cache, digest, open_dataset(cache, digest), validation)
            self._split_images[key] = split.images
        return self._split_images[key]

    def _reconcile(self, supervisor: Supervisor, tracker: BackgroundTracker, search: OptunaSearch) -> None:
        """What a killed supervisor left open, and what MLflow did not hear of, from the trials' own files."""
        abandoned = supervisor.reconcile()
        if abandoned:
            listed = ", ".join(map(str, abandoned))
            self.display.problem(f"the last run of this study was killed; put in order: trial {listed}")
        self._mend_trainings()
        numbers = self.record.numbers()
        known = ended_runs(self.definition.name, search.uid(), self._store.result()) if numbers else set()
        for number in numbers:
            trial = self.record.trial(number)
            if search.uid(number) in known:
                self._heard.append(number)
            elif trial.finished() is not None:
                tracker.replay(number, trial.config() or {}, trial.events(), trial.folder)

    def _mend_trainings(self) -> None:
        """What a killed `zoo train` left open, and what MLflow did not hear of one, from its own file."""
        for record in self.record.trainings():
            run, config = record.unrecorded(), record.config() or {}
            # What it says of the images comes from the dataset of today.
            if run is None or config.get("digest") != self.prepared.digest:
                continue
            if record.finished() is None:
                record.append(ended("failed", "interrupted: zoo train was killed"))
                self.display.problem(f"the last {run['name']} was killed; put in order: {record.folder}")
            tracker = self.tracker(run["uid"], {}, run["name"])
            tracker.replay(run["number"], config, record.events(), record.folder)
            if tracker.close(timeout=_LAST_WORDS_SECONDS):
                record.recorded()

    def _close(self, tracker: BackgroundTracker, status: str, interrupts: Interrupts) -> bool:
        """Wait for MLflow as long as it takes in more, or until Ctrl-C; whether it has everything."""
        recorded, closed = -1, False
        # One that ended the search already does not end this too: the record is to be closed after it.
        may_leave = interrupts.welcome() if interrupts.signum is None else nullcontext()
        try:
            with may_leave:
                while not (closed := tracker.close(status, timeout=_LAST_WORDS_SECONDS)):
                    before, recorded = recorded, len(tracker.recorded())
                    if not tracker.working or recorded == before:
                        break
        except Interrupted:
            self.display.problem("stopped waiting for MLflow")
        if not closed:
            self._tell_failure(tracker)
            self.display.problem(
                "MLflow does not have everything of this study; nothing is lost, it is in "
                f"{self.record.folder}, and the next run of the study adds it"
            )
        return closed

    def _tell_failure(self, tracker: BackgroundTracker) -> None:
        try:
            tracker.ready(timeout=0)
        except Exception as error:
            self.display.problem(str(error))

    def _model_address(self, uid: str, answers: bool) -> str:
        """Where MLflow has the model; "" where it does not say any more, which is no reason to lose the rest.

        Args:
            answers: whether MLflow is known to; else it is asked, for seconds rather than minutes.
        """
        try:
            store = self._store.result()
            return model_address(self.definition.name, uid, store) if answers or store.answers() else ""
        except Exception:
            return ""


def _in_background(work: Callable[[], Result]) -> Future[Result]:
    """Begin `work` in a thread that ends with the process: an error need not wait for it."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
