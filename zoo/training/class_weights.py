"""The weights of the classes: `[training] class_weight` of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import StudyError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def class_weights(
    setting: str | Mapping[str, float], labels: npt.NDArray[Any], class_names: Sequence[str]
) -> npt.NDArray[np.float32] | None:
    """Return the weight of each class, `(num_classes,)`; None for the setting `none`.

    `balanced` is `n / (num_present * count)`, as in scikit-learn: all classes with training images have the
    same total weight, and the mean weight of the images is 1. In a table, classes that are not named have the
    weight 1.

    Args:
        setting: `none`, `balanced`, or a table of weights by class name.
        labels: the labels of the training images, `(n,)`.

    Raises:
        StudyError: a table names a class that the dataset does not have, or that has no training images.
    """
    import numpy as np

    if setting == "none":
        return None
    counts = np.bincount(np.asarray(labels, np.int64), minlength=len(class_names))
    weights = np.ones(len(class_names), np.float32)
    if not isinstance(setting, Mapping):
        present = counts > 0
        weights[present] = len(labels) / (present.sum() * counts[present])
        return weights
    for name, weight in setting.items():
        if name not in class_names:
            hint = did_you_mean(name, class_names)
            raise StudyError(f"[training] class_weight: the dataset has no class '{name}'. {hint}")
        if not counts[class_names.index(name)]:
            raise StudyError(
                f"[training] class_weight: the training split has no image of class '{name}'; remove its "
                "weight, or add images"
            )
        weights[class_names.index(name)] = weight
    return weights
