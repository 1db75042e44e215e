"""Promoting the best trial of a finished study to the champion, the registered model that others use.

The best trial replaces the champion only if it is better beyond chance. Both models predict the same images
of the test split, so an exact McNemar test compares them: it counts only the images that one model predicts
correctly and the other one does not. Equally good models gain each of these images with probability 1/2. If
the study optimizes a registered metric, that metric is compared instead, with a paired randomization test,
because the accuracy of imbalanced classes may rank the models differently.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo import tracking
from zoo.errors import DataError, ZooError, count_text, one_line
from zoo.metrics import mcnemar_p_value
from zoo.record import read_predictions, trial_uid
from zoo.tracking import ModelVersion, Store, fetch_model_file, find_version
from zoo.training.info import read_info
from zoo.training.measuring import compare_by_metric
from zoo.training.saved import predict_splits
from zoo.training.worker import call_in_worker
from zoo.trial import test_metric
from zoo.tuning.interrupts import Interrupted
from zoo.tuning.opening import OpenStudy
from zoo.tuning.scoring import model_file

SIGNIFICANCE = 0.05  # a difference with a p value below this is more than chance

_Correct = npt.NDArray[np.bool_]  # for each image of the test split: the prediction is correct
_Predictions = tuple[npt.NDArray[Any], npt.NDArray[Any]]  # labels `(n,)`, probabilities `(n, num_classes)`


@dataclass(frozen=True)
class Comparison:
    """The best trial and the champion on the same test images.

    Args:
        is_ahead: the trial has the better result, perhaps by chance.
        p_value: the two-sided p value of the test.
        results: both results as text, `0.9722 on the test split, digits/1 0.9500; 9 images gained, 1 lost,`.
        test: the name of the test.
    """

    is_ahead: bool
    p_value: float
    results: str
    test: str

    @property
    def is_better(self) -> bool:
        """True if the trial is better beyond chance."""
        return self.is_ahead and self.p_value < SIGNIFICANCE

    def __str__(self) -> str:
        sign = "<" if self.p_value < SIGNIFICANCE else ">="
        return f"{self.results} p = {self.p_value:.2g} {sign} {SIGNIFICANCE} ({self.test})"


def compare(challenger: _Correct, champion: _Correct, title: str) -> Comparison:
    """Compare two models by the images of the test split that they predict correctly, both `(n,)`.

    `title` names the champion in the text.
    """
    gained, lost = int((challenger & ~champion).sum()), int((champion & ~challenger).sum())
    results = (
        f"{challenger.mean():.4f} on the test split, {title} {champion.mean():.4f}; "
        f"{count_text(gained, 'image')} gained, {lost} lost,"
    )
    return Comparison(gained > lost, mcnemar_p_value(gained, lost), results, "exact McNemar test")


def promote_best(study: OpenStudy, number: int, address: str) -> str:
    """Register trial `number` as the champion if it is better than the present one; return the result.

    The result is a line for the user. If the trial cannot be registered now, a problem is shown, "" is
    returned, and the next run of the study tries again.

    Args:
        address: the URI of the trial's model in MLflow; "" if MLflow does not have it, or does not answer.
    """
    try:
        with study.interrupts.interruptible():
            if not address:
                raise ZooError("MLflow does not have its model, or does not answer")
            study.display.phase("comparing the best model with the champion …")
            return _Challenge(study, number, address).run()
    except Interrupted:
        return ""
    except Exception as error:  # the study must not fail because of its promotion
        study.display.problem(
            f"trial {number} was not promoted: {one_line(error).rstrip('.')}; "
            "the next run of the study tries again"
        )
        return ""


class _Challenge:
    """The best trial of a study against the champion of the same name."""

    def __init__(self, study: OpenStudy, number: int, address: str) -> None:
        self._study = study
        self._name = study.definition.name
        self._number = number
        self._trial = study.directory.trial(number)
        self._address = address
        self._command = f"`zoo promote {shlex.quote(self._name)}` replaces it"

    def run(self) -> str:
        store = self._study.store.result()
        champion = tracking.champion(store, self._name)
        if champion is None or champion.address == self._address:
            # The champion is promoted again, which completes a promotion that was interrupted.
            return f"{self._promote(store).title} (trial {self._number})"
        own = find_version(store, self._name, self._address)
        if own is not None and own.was_promoted:
            reason = f"trial {self._number} is {own.title}, which was replaced"
            return f"{champion.title} stays: {reason}; {self._command}"
        if reason := self._incomparable(champion):
            return (
                f"{champion.title} stays: {reason}, so trial {self._number} was not compared; {self._command}"
            )
        predictions = self._own_predictions(), self._predictions_of(champion, store)
        result = self._compare(*predictions, champion.title)
        text = f"trial {self._number} has {result}"
        if not result.is_better:
            return f"{champion.title} stays: {text}; {self._command}"
        return f"{self._promote(store).title}: {text}"

    def _incomparable(self, champion: ModelVersion) -> str:
        """Return why the two models cannot be compared; "" if they can."""
        digest = self._study.dataset.digest
        if champion.digest != digest:
            theirs = f"{champion.digest[:12]}…" if champion.digest else "unknown"
            return f"it was trained on other data ({theirs}, the study's are {digest[:12]}…)"
        return "" if "test" in self._study.dataset.sizes else "the dataset has no test split"

    def _compare(self, own: _Predictions, champions: _Predictions, title: str) -> Comparison:
        """Compare the models by the objective of the study if it is a registered metric, else by accuracy."""
        definition = self._study.definition
        objective = definition.epoch_objective
        if objective.metric not in definition.metrics:
            return compare(_is_correct(*own), _is_correct(*champions), title)
        arguments = (definition.metrics[objective.metric].name, *own, champions[1])
        value, other, p_value = call_in_worker(
            compare_by_metric, *arguments, log_path=self._trial.output_path
        )
        results = f"{test_metric(objective.metric)} {value:.4f}, {title} {other:.4f};"
        is_ahead = objective.loss(value) < objective.loss(other)
        return Comparison(is_ahead, p_value, results, "paired randomization test")

    def _promote(self, store: Store) -> ModelVersion:
        with model_file(self._study, self._number) as path:
            info = read_info(path)
        return tracking.promote(store, self._name, self._address, info, self._study.dataset.sizes.get("test"))

    def _own_predictions(self) -> _Predictions:
        if (recorded := self._recorded(self._number)) is not None:
            return recorded
        with model_file(self._study, self._number) as path:
            return self._predict(path)

    def _predictions_of(self, champion: ModelVersion, store: Store) -> _Predictions:
        uid = str(self._study.directory.uid())
        if champion.trial is not None and champion.uid == trial_uid(uid, champion.trial):
            recorded = self._recorded(champion.trial)
            if recorded is not None:
                return recorded
        with TemporaryDirectory(prefix="zoo-model-") as folder:
            return self._predict(fetch_model_file(store, champion.address, Path(folder)))

    def _recorded(self, number: int) -> _Predictions | None:
        """Return the test predictions of a trial of this study; None if they are not recorded."""
        try:
            return read_predictions(self._study.directory.trial(number).test_predictions_path)
        except DataError:
            return None

    def _predict(self, model_path: Path) -> _Predictions:
        data = self._study.directory.cache_dir, self._study.dataset.digest
        probabilities, labels = call_in_worker(
            predict_splits, model_path, *data, log_path=self._trial.output_path
        )
        return labels, probabilities


def _is_correct(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> _Correct:
    correct: _Correct = probabilities.argmax(axis=1) == labels
    return correct
