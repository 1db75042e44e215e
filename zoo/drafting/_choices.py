"""The tables of a drafted study: settings that fit the images, their number and the budget."""

from __future__ import annotations

import math
from typing import Any

from zoo.data.split_facts import range_text
from zoo.drafting._document import Table
from zoo.drafting._facts import Facts
from zoo.drafting._flips import policies_for
from zoo.drafting._sizes import (
    BUDGET_S,
    PIXELS_PER_SECOND,
    epoch_seconds,
    machine_text,
    num_epochs,
    num_trials,
    trial_seconds,
)
from zoo.errors import count_text

SMALL, MEDIUM, LARGE = 500, 5_000, 20_000  # training images
MIN_FOLDED = 10  # images of the smallest class; with fewer, one of five folds may have none
SMALL_SIDE = 48  # pixels; smaller images allow larger kernels and more convolutions per block
MIN_AUGMENTED_SIDE, MIN_CONVOLVED_SIDE = 8, 4  # pixels; smaller images get no augmentation; no convolution


def tables(facts: Facts) -> list[Table]:
    validation, num_train = _validation(facts)
    return [
        _objective(facts),
        _dataset(facts),
        *validation,
        *_architecture(facts, num_train),
        *_augmentation(facts),
        _training(facts, num_train),
        _search(facts, num_train),
    ]


def _objective(facts: Facts) -> Table:
    counts = facts.counts["train"]
    low, high = int(counts.min()), int(counts.max())
    table = Table("")
    if facts.is_balanced:
        table.set("objective", "val_accuracy", f"the classes have {range_text([low, high])} images")
        return table
    share, mean = high / facts.num_train, 1 / len(counts)
    table.comment = (
        f"The classes have {low:,} to {high:,} images: a model that always predicts the largest class has an "
        f"accuracy of {share:.2f}, but a balanced accuracy (the mean over the classes) of {mean:.2f}."
    )
    table.set("objective", "val_balanced_accuracy")
    return table


def _dataset(facts: Facts) -> Table:
    table = Table("dataset", "; ".join(facts.notes))
    table.set("name", facts.dataset)
    for name, value in facts.parameters.items():
        table.set(name, value, facts.found.get(name, ""))
    return table


def has_folds(facts: Facts) -> bool:
    """Return True if every trial is validated on several folds."""
    few = facts.num_train < SMALL and facts.smallest_class >= MIN_FOLDED
    return few and "validation" not in facts.counts


def _validation(facts: Facts) -> tuple[list[Table], int]:
    """Return the table `[validation]` (none if it is not needed), and the number of training images."""
    total = facts.num_train
    if "validation" in facts.counts:
        return [], total
    table, fraction = Table("validation"), 0.2 if total < MEDIUM else 0.1
    if has_folds(facts):
        table.comment = f"With {total:,} images, a single validation split is too small to compare trials."
        table.set("folds", 5, "every trial trains five times, each time with another fifth for validation")
    else:
        table.set("fraction", fraction, f"of the {total:,} training images, to compare the trials")
    if "group" in facts.parameters:
        table.set("group", facts.parameters["group"], "no group is divided")
    elif facts.name_groups:
        expression, example = facts.name_groups
        table.comment += (
            f" If images with the same name prefix ({example} …) show one person or object, set group = "
            f"'{expression}' here and in [dataset], so that no person or object is in two splits."
        )
    return [table], max(round(total * (1 - fraction)), 1)


def _architecture(facts: Facts, num_train: int) -> list[Table]:
    """Return a table with the name of the network, and a table with its parameters.

    With two tables, `--set architecture.name=pretrained` needs no other change.
    """
    if facts.side < MIN_CONVOLVED_SIDE:
        choice = Table("architecture", "The images are too small for convolutions and poolings.")
        table = _perceptron()
    else:
        choice, table = Table("architecture", _network_comment(facts, num_train)), _conv_net(facts, num_train)
    name = table.name.rpartition(".")[2]
    choice.set("name", name, f"`zoo show {name}` describes its parameters")
    return [choice, table]


def _perceptron() -> Table:
    table = Table("architecture.perceptron")
    table.set("dense_units", {"low": 16, "high": 128, "length": [0, 1]})
    table.set("dropout", {"low": 0.0, "high": 0.5})
    return table


def _conv_net(facts: Facts, num_train: int) -> Table:
    """Return the parameters of `conv_net`. Each pooling halves the sides; at least 2×2 pixels remain."""
    max_depth = min(max(int(math.log2(facts.side / 2)), 1), 4)
    has_one_depth = facts.side >= 2 * SMALL_SIDE or max_depth == 1
    min_depth = max_depth if has_one_depth else max_depth - 1
    low, high = (8, 32) if num_train < SMALL else (16, 64) if num_train < MEDIUM else (32, 128)
    is_small = facts.side < SMALL_SIDE and num_train < LARGE
    table = Table("architecture.conv_net")
    pooled = f"{facts.side} pixels can be halved {max_depth} times" if max_depth > 1 else "one pooling"
    table.set(
        "filters",
        {"low": low, "high": high, "length": [min_depth, max_depth]},
        f"one number per block; {pooled}",
    )
    table.set("convolutions_per_block", {"low": 1, "high": 2} if is_small and num_train >= SMALL else 1)
    table.set("kernel_size", {"choices": [3, 5]} if is_small else 3)
    table.set("padding", "same")
    table.set("activation", "relu")
    table.set("pool_size", 2)
    table.set("batch_norm", True if num_train >= MEDIUM else {"choices": [False, True]})
    units = (32, 128) if num_train < SMALL else (64, 256)
    table.set("dense_units", {"low": units[0], "high": units[1], "length": [0, 1]})
    dropout = (0.1, 0.5) if num_train >= LARGE else (0.2, 0.6)
    table.set("dropout", {"low": dropout[0], "high": dropout[1]}, "fewer images need a higher rate")
    return table


def _network_comment(facts: Facts, num_train: int) -> str:
    size = "a small" if num_train < SMALL else "a medium" if num_train < MEDIUM else "a large"
    text = f"{num_train:,} training images: {size} convolutional network; its depth and width are searched."
    if facts.is_color and facts.side >= 32 and num_train < LARGE:
        text += (
            " With ImageNet's weights, which Keras downloads, a pretrained network is usually better on "
            "photographs: `--name NAME --set architecture.name=pretrained` searches with it."
        )
    return text


def _augmentation(facts: Facts) -> list[Table]:
    if facts.side < MIN_AUGMENTED_SIDE:
        table = Table("augmentation", "The images are too small to be rotated and shifted.")
        table.set("name", "none")
        return [table]
    names, reason = policies_for(facts)
    table = Table("augmentation", reason)
    table.set("name", {"choices": list(names)}, "`zoo inspect augmentation` draws them")
    return [table, *(_affine(name) for name in names if name.startswith("affine"))]


def _affine(name: str) -> Table:
    table = Table(f"augmentation.{name}")
    table.set("rotation", {"low": 4.0, "high": 15.0}, "degrees")
    table.set("shift", {"low": 0.04, "high": 0.12}, "share of the size; zoom, too")
    table.set("shear", 5.0)
    table.set("zoom", {"low": 0.04, "high": 0.15})
    if name == "affine_flip":
        table.set("flip", "horizontal", '"both" for images without a top, as from a microscope or satellite')
    table.set("fill", "nearest")
    return table


def _training(facts: Facts, num_train: int) -> Table:
    epochs = num_epochs(num_train)
    low = 16 if num_train < SMALL else 32 if num_train < MEDIUM else 64
    table = Table("training")
    table.set("epochs", epochs, f"at most; √(4,000,000 / {num_train:,}), from 5 to 40")
    table.set("patience", max(epochs // 2, 5), "a trial ends after this number of epochs without improvement")
    table.set("batch_size", {"choices": [low, 2 * low]})
    table.set("optimizer", "adam")
    table.set("learning_rate", {"low": 3e-4, "high": 3e-3, "log": True})
    table.set("schedule", "cosine")
    if not facts.is_balanced:
        table.set("class_weight", "balanced", "images of small classes get a higher weight")
    return table


def search_estimate(facts: Facts, num_train: int) -> tuple[int, float]:
    """Return the number of trials, and the estimated time of all of them in seconds."""
    folds = 5 if has_folds(facts) else 1
    seconds = folds * trial_seconds(num_train, facts.image_shape)
    trials = num_trials(seconds)
    return trials, trials * seconds


def _search(facts: Facts, num_train: int) -> Table:
    trials, seconds = search_estimate(facts, num_train)
    epoch = _seconds_text(epoch_seconds(num_train, facts.image_shape))
    pixels = f"{num_train:,} × {facts.image_shape[0]} × {facts.image_shape[1]} pixels"
    table = Table(
        "search",
        f"The budget is an hour. A core trains on about {PIXELS_PER_SECOND:,} pixels per second, so an epoch "
        f"of {pixels} takes about {epoch} on {machine_text()}, and the search {_minutes_text(seconds)}. "
        "More trials find better networks.",
    )
    table.set("trials", trials)
    table.set("timeout", "1h", "`zoo tune` stops after this time; the same command continues the search")
    table.set("sampler", "tpe")
    pruner = "median" if has_folds(facts) else "hyperband"
    table.set("pruner", pruner, "stops trials early that are worse than others")
    return table


def _seconds_text(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"


def _minutes_text(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    hour = BUDGET_S // 60
    over = "" if minutes <= hour else ", more than the budget"
    return f"about {count_text(minutes, 'minute')}{over}"


def summary(facts: Facts) -> dict[str, Any]:
    """Return trials, epochs and estimated minutes of the study."""
    _, num_train = _validation(facts)
    trials, seconds = search_estimate(facts, num_train)
    return {"trials": trials, "epochs": num_epochs(num_train), "time": _minutes_text(seconds)}
