"""The card of a model: its kind, its training data, its scores, and its limits.

The card is Markdown. It is the description of a version in MLflow's registry, and a member of a pack.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import count_text, listed, one_line, shape_text
from zoo.tracking import _names as names
from zoo.trial import format_value

if TYPE_CHECKING:
    from zoo.training.info import ModelInfo

_NOT_LISTED = ("dataset", "architecture", "augmentation", "objective", "direction", "seed", "validation.seed")
NOT_SCORED = "test split: not scored"
_MAX_CLASSES = 30  # class names that a card lists


def model_card(info: ModelInfo, title: str, data: Any = None, num_test_images: int | None = None) -> str:
    """Return the card of a model, without unknown facts.

    Args:
        info: the facts in the model's file.
        title: a name by which commands find the model, such as `mnist_cnn/3`.
        data: tags, params and metrics of the run in MLflow that trained it; None if there is no such run.
        num_test_images: number of images of the test split; None if unknown.
    """
    tags, params, metrics = (data.tags, data.params, data.metrics) if data is not None else ({}, {}, None)
    sections = {
        "Data": _data(info, tags, num_test_images),
        "Metrics": _metrics(info, metrics, num_test_images),
        "Training": _training(info, tags, params),
        "Limits": _limits(info, tags),
        "Use": [
            f"`zoo predict {shlex.quote(title)} IMAGE…`, `zoo.Classifier({title!r})`",
            "`pip install keras-zoo` installs zoo; Keras loads `model.keras` without zoo",
        ],
    }
    number = f", trial {info.trial}" if info.trial is not None else ""
    summary = f"A classifier of images into {len(info.class_names or ()) or 'unnamed'} classes"
    summary += f": {info.architecture}" if info.architecture else ""
    if (parameters := info.metrics.get("parameters")) is not None:
        summary += f", {format_value('parameters', parameters)} parameters"
    lines = [f"# {one_line(info.study or info.architecture or 'model')}{number}", "", f"{one_line(summary)}."]
    for heading, items in sections.items():
        lines += ["", f"## {heading}", "", *(f"- {one_line(item)}" for item in items)]
    return "\n".join(lines) + "\n"


def _data(info: ModelInfo, tags: Mapping[str, str], num_test_images: int | None) -> Iterator[str]:
    if info.dataset:
        yield f"dataset `{info.dataset}`{f', from {info.source}' if info.source else ''}"
    if info.digest:
        yield f"digest `{info.digest}`"
    yield f"licence: {info.licence or 'not stated by the dataset'}"
    if num_test_images is not None:
        yield f"test split: {count_text(num_test_images, 'image')}"
    size = shape_text(info.image_shape)
    if all(info.image_shape):
        yield f"images: {size} (height × width × channels), pixels 0–255; files are scaled: {info.resize}"
    if info.class_names:
        yield f"classes: {listed(info.class_names, _MAX_CLASSES)}"
    if splits := tags.get(names.SPLITS):
        yield f"splits: {splits}"
    if warning := tags.get(names.WARNING):
        yield f"warning: {warning}"


def _metrics(
    info: ModelInfo, metrics: Mapping[str, float] | None, num_test_images: int | None
) -> Iterator[str]:
    accuracy = None if metrics is None else metrics.get("test_accuracy")
    if metrics is not None and accuracy is not None:
        interval = ""
        if num_test_images:
            from zoo.metrics import wilson_interval  # imports NumPy

            low, high = wilson_interval(accuracy, num_test_images)
            interval = f", 95 % confidence interval {low:.4f} to {high:.4f} (Wilson)"
        yield f"test_accuracy {accuracy:.4f}{interval}"
        for key, value in metrics.items():
            if key.startswith("test_") and key != "test_accuracy":
                yield f"{key} {value:.4f}"
    elif metrics is not None:
        yield NOT_SCORED
    for key, value in info.metrics.items():
        if key.startswith("best_") or key == "latency_ms":
            yield f"{key} {format_value(key, value)}"


def _training(info: ModelInfo, tags: Mapping[str, str], params: Mapping[str, str]) -> Iterator[str]:
    if info.architecture:
        augmentation = f", augmentation `{params['augmentation']}`" if "augmentation" in params else ""
        yield f"architecture `{info.architecture}`{augmentation}"
    listed = [f"{name} {text}" for name, text in sorted(params.items()) if _is_listed(name, params)]
    seeds = [f"{name} {params[name]}" for name in ("seed", "validation.seed") if name in params]
    plugins = [f"{name} {version}" for name, version in sorted(info.plugins.items())]
    for title, values in {"parameters": listed, "seeds": seeds}.items():
        if values:
            yield f"{title}: {', '.join(values)}"
    yield f"versions: {', '.join([f'Keras {info.keras_version}', *plugins])}"
    if command := tags.get("mlflow.source.name"):
        yield f"command: `{command}`"
    if commit := tags.get("mlflow.source.git.commit"):
        yield f"git commit of the working folder: `{commit}`"


def _limits(info: ModelInfo, tags: Mapping[str, str]) -> Iterator[str]:
    images = f"`{info.dataset}`" if info.dataset else "the training data"
    yield f"The scores hold for images like those of {images}, not for other images."
    yield "The model answers every image with one of its classes, also an image that shows none of them."
    yield "The validation metrics selected the epoch and the trial, so they are too good."
    yield (
        "Every search compares its best trial with the champion on this test split, so many searches select "
        "on it."
    )
    if names.FOLD in tags:
        yield f"The model is that of fold {tags[names.FOLD]}; the validation metrics are means of folds."
    if info.requirements:
        yield f"The model needs {', '.join(info.requirements)}."


def _is_listed(name: str, params: Mapping[str, str]) -> bool:
    return name not in _NOT_LISTED and not any(names.is_item(name, other) for other in params)
