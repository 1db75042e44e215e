"""The record of a study in MLflow while the study runs."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from zoo.data.store import open_dataset
from zoo.data.validation import validation_split
from zoo.events import Event, Finished
from zoo.figures import draw_trial
from zoo.record import trial_uid
from zoo.redaction import redact
from zoo.registry import keep_files, kept_path
from zoo.tracking import (
    BackgroundTracker,
    StoreAway,
    StudyFacts,
    StudySummary,
    StudyTracker,
    model_address,
    server_answers,
    tracking_uri,
)
from zoo.tuning.interrupts import Interrupted
from zoo.tuning.opening import OpenStudy

# Stop waiting for MLflow if no trial becomes complete in this time. A large upload takes minutes.
SHUTDOWN_TIMEOUT_S = 300.0
_NO_ANSWER_TIMEOUT_S = 30.0  # the same for a server that answers no request at all
_STEP_S, _QUIET_S = 5.0, 15.0


class MLflowRecord(AbstractContextManager["MLflowRecord"]):
    """The record of one study, or of one standalone run, in MLflow.

    Leaving the context waits until MLflow has everything, and ends the run with `status`. `facts` are more
    fields of `StudyFacts`.
    """

    def __init__(
        self, study: OpenStudy, uid: str, surplus: Callable[[], Sequence[int]] = tuple, **facts: Any
    ) -> None:
        self.status = "FAILED"  # until a caller sets FINISHED or KILLED
        self.has_events = False  # events were put
        self.is_described = False  # the study was described in MLflow when it ended
        self.is_complete = False  # MLflow has every event and file; set when the context is left
        self.removed: set[int] = set()  # trials whose models and figures are removed
        self._surplus = surplus
        self._study = study
        self._uid = uid
        self.recorded_before: list[int] = []  # trials that MLflow had before this process started
        self._images: dict[str, Any] = {}  # validation images by the [validation] table that selected them
        definition = study.definition
        keep_files(study.directory.path, definition.plugin_files)  # copied before a trial uses them
        study_facts = StudyFacts(
            name=definition.name,
            uid=uid,
            objectives=definition.objectives,
            dataset=study.dataset,
            plugins=definition.plugin_versions(),
            searched=definition.searched(),
            definition=definition.text,
            plugin_files={
                str(kept_path(Path(), one.name, one.version)): one.source.decode("utf-8-sig")
                for one in definition.plugin_files
            },
            **facts,
        )
        self._tracker = BackgroundTracker(
            lambda: StudyTracker(study.store.result(), study_facts),
            draw=self._draw,
            on_problem=study.display.problem,
            on_note=study.display.note,
        )
        if not study.is_new_store:
            with suppress(StoreAway):  # the problem was reported before
                self._tracker.ready()

    def put(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None:
        """Queue events of a trial for MLflow, and the removal of models that are not kept; return at once."""
        if any(isinstance(event, Finished) and event.state == "complete" for event in events):
            self.remove_surplus()
        self.has_events = True
        self._tracker.put(number, config, events, folder)

    def remove_surplus(self) -> None:
        """Remove the models and figures of the trials that are not kept."""
        new = set(self._surplus()) - self.removed
        for number in sorted(new):
            self._tracker.remove_model(number, self._study.directory.trial(number).path)
        self.removed |= new

    def record_summary(self, summary: StudySummary) -> None:
        self.is_described = True
        self._tracker.record_summary(summary)

    def record_report(self, path: Path) -> None:
        self._tracker.record_report(path)

    def recorded_trials(self) -> list[int]:
        """Return the numbers of the trials that MLflow has completely."""
        return [*self.recorded_before, *self._tracker.recorded_trials()]

    def model_uri(self, number: int) -> str:
        """Return the URI of a trial's model; "" if MLflow does not have it, or does not answer."""
        if not self.is_complete and number not in self.recorded_trials():
            return ""
        with suppress(Exception):  # the result must not be lost because MLflow stopped answering
            store = self._study.store.result()
            # If the server is dead, `answers` returns within seconds; another request would take minutes.
            if self.is_complete or store.answers():
                return model_address(store, self._study.definition.name, trial_uid(self._uid, number))
        return ""

    def __exit__(self, *_: object) -> None:
        try:
            self._study.display.phase("finishing the record …")
        finally:  # no run in MLflow may stay RUNNING
            self.is_complete = self._close()

    def _close(self) -> bool:
        """Wait for MLflow, until Ctrl-C; return True if it has everything."""
        is_closed, display, interrupts = False, self._study.display, self._study.interrupts
        self._study.store.retry_now()
        try:
            # A signal that stopped the study must not also stop closing its record.
            with interrupts.interruptible() if interrupts.signum is None else nullcontext():
                is_closed = self._wait()
        except Interrupted:
            display.problem("stopped waiting for MLflow")
        if not is_closed:
            try:
                self._tracker.ready(timeout=0)
            except StoreAway:  # the problem was reported before
                pass
            except Exception as error:  # the tracker could not be opened
                display.problem(str(error))
            command = f"zoo sync {shlex.quote(self._study.definition.name)}"
            display.problem(
                "MLflow does not have the whole study. Nothing is lost: the rest is in "
                f"{self._study.directory.path}, and the next run of the study, or `{command}`, sends it."
            )
        return is_closed

    def _wait(self) -> bool:
        """Wait while MLflow answers and completes trials; return True if it has everything."""
        now = answered_at = progressed_at = time.monotonic()
        quiet_until, num_recorded, reported = now + _QUIET_S, -1, set()
        while not self._tracker.close(self.status, timeout=_STEP_S):
            if not self._tracker.is_running:
                return False
            now, before, num_recorded = time.monotonic(), num_recorded, len(self._tracker.recorded_trials())
            progressed_at = now if num_recorded != before else progressed_at
            if server_answers():
                answered_at = now
                state, end = "still stores the study", progressed_at + SHUTDOWN_TIMEOUT_S
            else:
                state, end = "does not answer", answered_at + _NO_ANSWER_TIMEOUT_S
                quiet_until = now
            if now >= end:
                return False
            if now >= quiet_until and state not in reported:
                reported.add(state)
                until = time.strftime("%H:%M:%S", time.localtime(time.time() + end - now))
                address = redact(tracking_uri())
                self._study.display.note(
                    f"MLflow at {address} {state}; waiting until {until}, Ctrl-C ends the wait"
                )
        return True

    def _draw(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Draw the figures of a complete trial."""
        name = f"trial {int(folder.name)}" if folder.name.isdigit() else f"run {folder.name}"
        images = self._validation_images(config.get("validation", self._study.definition.validation))
        title = f"{self._study.definition.name}, {name}"
        draw_trial(folder, images, self._study.dataset.class_names, title=title)

    def _validation_images(self, validation: Mapping[str, Any]) -> Any:
        """Return the validation images that a recorded `[validation]` table selects."""
        key = json.dumps(validation, sort_keys=True)
        if key not in self._images:
            cache_dir, digest = self._study.directory.cache_dir, self._study.dataset.digest
            dataset = open_dataset(cache_dir, digest)
            self._images[key] = validation_split(cache_dir, digest, dataset, validation).images
        return self._images[key]
