"""The result of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.metrics import class_table, confident_mistakes, confusion_table, wilson_interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a model on images with labels.

    Args:
        study: the study of the model; "" if unknown.
        name: the run, `trial 6` or `run 20261121-204244-18148`; or the name of the model that the user gave.
        metrics: for a recorded run `test_accuracy`, `test_loss` (mean cross-entropy, nats) and `test_NAME` of
            registered metrics; for a given dataset those of `zoo.metrics.all_metrics` and registered ones.
        class_names: the names in the order of the labels.
        labels, probabilities: one row for each image, `(n,)` and `(n, classes)`.
        image_names: one name for each image, such as its file; () if the dataset does not name them.
        dataset, split: the dataset and split of the images.
        source, warning: the origin of the dataset; a warning that limits the use of its scores.
        is_recorded: the scores belong to the record of a run.
    """

    study: str
    name: str
    metrics: Mapping[str, float]
    class_names: Sequence[str]
    labels: npt.NDArray[np.integer]
    probabilities: npt.NDArray[np.floating]
    image_names: Sequence[str] = ()
    dataset: str = ""
    split: str = "test"
    source: str = ""
    warning: str = ""
    is_recorded: bool = False

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def predicted(self) -> npt.NDArray[np.integer]:
        """The most probable class of each image, `(n,)`."""
        classes: npt.NDArray[np.integer] = self.probabilities.argmax(axis=1)
        return classes

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy (Wilson)."""
        return wilson_interval(float((self.predicted == self.labels).mean()), self.images)

    @property
    def classes(self) -> pd.DataFrame:
        """A row for each class name: `images`, `precision`, `recall`.

        Precision is the share of the predictions of this class that are correct; recall is the share of its
        images that are predicted as this class. Both are NaN if there are none.
        """
        return class_table(self.labels, self.predicted, self.class_names)

    @property
    def confusion(self) -> pd.DataFrame:
        """The number of images by label (rows) and prediction (columns)."""
        return confusion_table(self.labels, self.predicted, self.class_names)

    @property
    def mistakes(self) -> pd.DataFrame:
        """A row for each wrongly classified image, the most confident mistake first.

        Columns: `image` (its name, such as a file; or its row in the split, from 0, if the dataset does not
        name its images), `label`, `prediction`, `probability` (of the prediction), `probability_of_label`.
        """
        import pandas as pd

        predicted, labels = self.predicted, self.labels
        rows = confident_mistakes(labels, self.probabilities)
        names: Sequence[Any] = self.image_names or range(self.images)
        return pd.DataFrame(
            {
                "image": [names[int(row)] for row in rows],
                "label": [self.class_names[labels[row]] for row in rows],
                "prediction": [self.class_names[predicted[row]] for row in rows],
                "probability": self.probabilities[rows, predicted[rows]],
                "probability_of_label": self.probabilities[rows, labels[rows]],
            }
        )
