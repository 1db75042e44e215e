"""The loss of a training with label smoothing, focal loss or class weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

PLAIN_LOSS = "sparse_categorical_crossentropy"


class WeightedLoss(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy or focal loss of class probabilities `(batch, num_classes)`, weighted by class.

    The labels are integers, `(batch,)` or `(batch, 1)`, or probabilities, `(batch, num_classes)`, such as the
    labels of mixed images. The weight of an image is that of its class. If the label has probabilities, the
    weight is the mean of the class weights, weighted by these probabilities.

    Args:
        label_smoothing: share of each label that is spread over all classes (Szegedy et al., 2016).
        focal_gamma: exponent of the factor `(1 - p) ** focal_gamma` (Lin et al., 2017); 0 is cross-entropy.
        class_weights: `(num_classes,)`; None weights all classes equally.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        class_weights: npt.NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(name="weighted_loss")
        settings: dict[str, Any] = {"label_smoothing": label_smoothing, "reduction": "none"}
        if focal_gamma:
            # Keras's default alpha, 0.25, would divide the loss, and in effect the learning rate, by four.
            self._loss = keras.losses.CategoricalFocalCrossentropy(1.0, focal_gamma, **settings)
        else:
            self._loss = keras.losses.CategoricalCrossentropy(**settings)
        self._class_weights = class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, `(batch,)`."""
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, axis=-1)
        if len(y_true.shape) < len(y_pred.shape):
            y_true = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        losses = self._loss(y_true, y_pred)
        if self._class_weights is None:
            return losses
        return losses * ops.sum(y_true * ops.cast(self._class_weights, y_true.dtype), axis=-1)


def training_loss(
    label_smoothing: float, focal_gamma: float, class_weights: npt.NDArray[np.float32] | None
) -> Any:
    """Return the loss for `keras.Model.compile`; if no setting is used, the name of Keras's own loss."""
    if not label_smoothing and not focal_gamma and class_weights is None:
        return PLAIN_LOSS
    return WeightedLoss(label_smoothing, focal_gamma, class_weights)
