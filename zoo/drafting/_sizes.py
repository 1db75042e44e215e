"""The size to which images are scaled, and the estimated time of a search.

The estimates follow one rule: a core trains `conv_net` on about 600,000 pixels per second, and a GPU counts
as forty cores. The results in `studies/` give 650,000 (`mnist_cnn`, `mnist_wide_pair`), 700,000
(`cats_and_dogs`) and 1,200,000 pixels (`mnist_three_convolutions`) per second and core.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from zoo.drafting._image_files import ImageFiles, Size
from zoo.errors import count_text
from zoo.training import backend

PIXELS_PER_SECOND = 600_000  # on one core
CORES_PER_GPU = 40
MAX_CORES = 16  # more cores do not train small networks faster
BUDGET_S = 3600
OVERHEAD_S = 5  # per trial: building the network, saving the model
TRAINED_SHARE = 0.7  # share of the epochs that are trained; pruning and patience save the others
MIN_TRIALS, MAX_TRIALS = 6, 20
MIN_EPOCHS, MAX_EPOCHS = 5, 40
EPOCH_RULE = 4_000_000  # epochs = √(4,000,000 / images): 40 for 2,500 images, 9 for 50,000
SIDES = (160, 128, 96, 64, 48, 32)


def num_epochs(num_images: int) -> int:
    """Return the number of epochs for a number of training images: fewer images need more epochs."""
    return min(max(round(math.sqrt(EPOCH_RULE / num_images)), MIN_EPOCHS), MAX_EPOCHS)


def epoch_seconds(num_images: int, shape: Sequence[int]) -> float:
    """Return the estimated time of an epoch in seconds, for images of this height and width."""
    return num_images * shape[0] * shape[1] / (PIXELS_PER_SECOND * _speed())


def trial_seconds(num_images: int, shape: Sequence[int]) -> float:
    """Return the estimated mean time of a trial in seconds."""
    return OVERHEAD_S + TRAINED_SHARE * num_epochs(num_images) * epoch_seconds(num_images, shape)


def num_trials(seconds: float) -> int:
    """Return the number of trials of this length, in seconds, that fit into the budget."""
    return min(max(int(BUDGET_S / seconds), MIN_TRIALS), MAX_TRIALS)


def image_size_for(files: ImageFiles) -> Size | None:
    """Return the height and width to which image files are scaled; None if they keep their common size.

    The result is the largest of `SIDES` that does not exceed the median size and with which MIN_TRIALS trials
    fit into the budget.
    """
    height, width = files.median_size
    largest = round(math.sqrt(height * width))
    if files.has_one_size and largest <= SIDES[0] and _fits(files.count, (height, width)):
        return None
    sides = [side for side in SIDES if side <= largest] or [largest]
    side = next((side for side in sides if _fits(files.count, (side, side))), sides[-1])
    return side, side


def machine_text() -> str:
    """Return the hardware that the estimates assume, such as `2 cores`."""
    if gpus := backend.visible_gpus():
        return count_text(len(gpus), "GPU")
    return count_text(backend.available_cores(), "core")


def _speed() -> int:
    """Return the speed of this machine in cores. Trials run one after the other, so they use one GPU."""
    return CORES_PER_GPU if backend.visible_gpus() else min(backend.available_cores(), MAX_CORES)


def _fits(num_images: int, shape: Sequence[int]) -> bool:
    return MIN_TRIALS * trial_seconds(num_images, shape) <= BUDGET_S
