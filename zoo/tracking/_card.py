"""The card of a registered model: what it is, what it was trained on, how good it is, and its limits.

The card is Markdown. It is the description of the model's version in MLflow's registry.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zoo.tracking import _names as names

if TYPE_CHECKING:
    from zoo.training.info import ModelInfo

_NOT_LISTED = ("dataset", "architecture", "augmentation", "objective", "direction", "seed", "validation.seed")
NOT_SCORED = "test split: not scored"
_MAX_CLASSES = 30  # class names that a card lists


def model_card(info: ModelInfo, run: Any, title: str, num_test_images: int | None = None) -> str:
    """Return the card of a model that a run of zoo trained.

    Args:
        info: the facts in the model's file.
        run: the run in MLflow.
        title: such as `mnist_cnn/3`, by which commands find the model.
        num_test_images: images of the test split; None if unknown.
    """
    sections = {
        "Data": _data(info, run.data.tags, num_test_images),
        "Metrics": _metrics(info, run.data.metrics, num_test_images),
        "Training": _training(info, run.data),
        "Limits": _limits(info, run.data),
        "Use": [f"`zoo predict {shlex.quote(title)} IMAGE…`, `zoo.Classifier({title!r})`"],
    }
    number = f", trial {info.trial}" if info.trial is not None else ""
    summary = f"A classifier of images into {len(info.class_names or ())} classes: {info.architecture}"
    parameters = info.metrics.get("parameters")
    summary += f", {parameters:,.0f} parameters." if parameters is not None else "."
    lines = [f"# {info.study}{number}", "", summary]
    for heading, items in sections.items():
        lines += ["", f"## {heading}", "", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"


def _data(info: ModelInfo, tags: Mapping[str, str], num_test_images: int | None) -> Iterator[str]:
    source = f", from {info.source}" if info.source else ""
    yield f"dataset `{info.dataset}`{source}"
    yield f"digest `{info.digest}`"
    yield f"licence: {info.licence or 'not stated by the dataset'}"
    if num_test_images is not None:
        yield f"test split: {num_test_images:,} images"
    height, width, channels = info.image_shape
    yield f"images: {height}×{width}×{channels} (height × width × channels), pixels 0–255"
    listed = list(info.class_names or ())[:_MAX_CLASSES]
    more = len(info.class_names or ()) - len(listed)
    yield f"classes: {', '.join(listed)}{f' and {more} more' if more else ''}"
    if splits := tags.get(names.SPLITS):
        yield f"splits: {splits}"
    if warning := tags.get(names.WARNING):
        yield f"warning: {warning}"


def _metrics(info: ModelInfo, metrics: Mapping[str, float], num_test_images: int | None) -> Iterator[str]:
    accuracy = metrics.get("test_accuracy")
    if accuracy is None:
        yield NOT_SCORED
    else:
        interval = ""
        if num_test_images:
            from zoo.metrics import wilson_interval  # imports NumPy

            low, high = wilson_interval(accuracy, num_test_images)
            interval = f", 95 % confidence interval {low:.4f} to {high:.4f} (Wilson)"
        yield f"test_accuracy {accuracy:.4f}{interval}"
        if "test_loss" in metrics:
            yield f"test_loss {metrics['test_loss']:.4f}"
    for key, value in info.metrics.items():
        if key.startswith("best_") or key == "latency_ms":
            yield f"{key} {value:.4g}"


def _training(info: ModelInfo, data: Any) -> Iterator[str]:
    params = data.params
    yield f"architecture `{info.architecture}`, augmentation `{params.get('augmentation', 'none')}`"
    listed = [f"{name} {text}" for name, text in sorted(params.items()) if _is_listed(name, params)]
    yield f"parameters: {', '.join(listed)}"
    seeds = [f"{name} {params[name]}" for name in ("seed", "validation.seed") if name in params]
    yield f"seeds: {', '.join(seeds)}"
    plugins = [f"{name} {version}" for name, version in sorted(info.plugins.items())]
    yield f"versions: Keras {info.keras_version}, {', '.join(plugins)}"
    yield f"command: `{data.tags.get('mlflow.source.name', '')}`"
    if commit := data.tags.get("mlflow.source.git.commit"):
        yield f"git commit of the working folder: `{commit}`"


def _limits(info: ModelInfo, data: Any) -> Iterator[str]:
    yield f"The scores hold for images like those of `{info.dataset}`, not for other images."
    yield "The model answers every image with one of its classes, also an image that shows none of them."
    yield "The validation metrics selected the epoch and the trial, so they are too good."
    yield (
        "Every search compares its best trial with the champion on this test split, so many searches select "
        "on it."
    )
    if names.FOLD in data.tags:
        yield f"The model is that of fold {data.tags[names.FOLD]}; the validation metrics are means of folds."
    if info.requirements:
        yield f"The model needs {', '.join(info.requirements)}."


def _is_listed(name: str, params: Mapping[str, str]) -> bool:
    return name not in _NOT_LISTED and not any(names.is_item(name, other) for other in params)
