"""A report on a dataset: classes, sizes, brightness, suspicious images and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import figures
from zoo.data import Dataset
from zoo.data.quality import Comparison, ImageFact, compare_images
from zoo.data.split_facts import splits_text
from zoo.data.validation import fold_of_images
from zoo.errors import DataError, StudyError
from zoo.inspection._figure import Figure, OptionalPath, output_path
from zoo.inspection._opening import OpenedDataset, find_source, open_source
from zoo.metrics import label_issues
from zoo.models.recorded import current_runs
from zoo.record import Run, best_run, read_predictions
from zoo.registry import takes_plugins
from zoo.tuning.display import Display, PlainDisplay

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("two labels", "two splits", "repeated")  # kinds of sets of identical images, worst first
_IMAGE_COLUMNS = ("split", "image", "name", "label")


@dataclass(frozen=True)
class DataReport(Figure):
    """The figure of a dataset, the numbers in it, and the suspicious images.

    Args:
        classes: numbers of images, a row for each class and a column for each split.
        findings: a row for each suspicious image, with the columns `kind` (`two labels`, `two splits` or
            `repeated` for identical images, else `constant` or `suspicious label`), `set` (the number of the
            set of identical images), `split`, `image` (the number in the split), `name`, `label`, and for a
            suspicious label `probable` (the probable class) and `probability` (of the label).
    """

    classes: pd.DataFrame
    findings: pd.DataFrame


@dataclass(frozen=True)
class _Issue:
    """A validation image whose label is probably wrong according to confident learning."""

    image: ImageFact
    probable: int
    probability: float  # probability of the label


@takes_plugins
def data(
    dataset: str | Dataset | None = None,
    *,
    study: str | None = None,
    overrides: Sequence[str] = (),
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> DataReport:
    """Draw samples, numbers of images, brightness and sizes of a dataset, and find suspicious images.

    After a study, suspicious labels are found by confident learning (Northcutt, Jiang & Chuang, 2021), from
    the best trial's predictions for its validation images.

    Args:
        dataset: the name of a dataset, or data in memory.
        study: the name of a study, instead of `dataset`: show its dataset with the study's parameters.
        overrides: parameters of the dataset, `["count=500"]`; with a study, `["dataset.count=500"]`.
        output: the PNG file to write; `data-DATASET.png` in the working folder by default.
        plugins: plugin files that the dataset needs: paths, or imported modules.
        display: shows the progress; plain lines on stderr by default.
    """
    display = display or PlainDisplay()
    source = find_source(dataset, study, overrides)
    path = output_path(output, Path(f"data-{source.file_name}.png"))
    opened = open_source(source, display)
    display.phase("comparing images …")
    compared = compare_images(opened.dataset)
    issues = _issues(opened, display)
    counts = {split: facts.class_counts for split, facts in opened.splits.items()}
    tiles = _tiles(opened, compared, issues)
    subtitle = splits_text(opened.splits)
    figures.data_page(opened.dataset, counts, tiles, path, title=source.name, subtitle=subtitle)
    return DataReport(path, _class_table(opened, counts), _findings(opened, compared, issues))


@takes_plugins
def duplicates(
    dataset: str | Dataset | None = None,
    *,
    study: str | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> pd.DataFrame:
    """Return images with the same pixels as another image; those with two labels come first.

    Columns: `kind` (`two labels`, `two splits` or `repeated`), `set` (the number of the set of identical
    images, from 1), `digest` (of the pixels), `split`, `image` (the number in the split), `name`, `label`. If
    a study cuts its validation split, the splits are those of the study. Constant images are left out.

    Args:
        dataset, study, overrides, plugins, display: as for `data`.
    """
    display = display or PlainDisplay()
    opened = open_source(find_source(dataset, study, overrides), display)
    display.phase("comparing images …")
    return _duplicates(opened, compare_images(opened.dataset))


def _duplicates(opened: OpenedDataset, compared: Comparison) -> pd.DataFrame:
    import pandas as pd

    kinds = {digest: _kind(opened, same) for digest, same in compared.identical.items()}
    order = sorted(kinds, key=lambda digest: KINDS.index(kinds[digest]))
    rows = [
        {"kind": kinds[digest], "set": number, "digest": digest, **_row(opened, image)}
        for number, digest in enumerate(order, start=1)
        for image in compared.identical[digest]
    ]
    return pd.DataFrame(rows, columns=["kind", "set", "digest", *_IMAGE_COLUMNS])


def _kind(opened: OpenedDataset, same: Sequence[ImageFact]) -> str:
    if len({image.label for image in same}) > 1:
        return "two labels"
    return "two splits" if len({opened.split_of(image) for image in same}) > 1 else "repeated"


def _row(opened: OpenedDataset, image: ImageFact) -> dict[str, Any]:
    label = opened.dataset.class_names[image.label]
    values = (opened.split_of(image), image.position, image.name, label)
    return dict(zip(_IMAGE_COLUMNS, values, strict=True))


def _findings(opened: OpenedDataset, compared: Comparison, issues: Sequence[_Issue]) -> pd.DataFrame:
    import pandas as pd

    names = opened.dataset.class_names
    same = _duplicates(opened, compared).drop(columns="digest").to_dict("records")
    constant = [{"kind": "constant", **_row(opened, image)} for image in compared.constant]
    labels = [
        {
            "kind": "suspicious label",
            **_row(opened, one.image),
            "probable": names[one.probable],
            "probability": one.probability,
        }
        for one in issues
    ]
    columns = ["kind", "set", *_IMAGE_COLUMNS, "probable", "probability"]
    table = pd.DataFrame([*same, *constant, *labels], columns=columns)
    table["set"] = table["set"].astype("Int64")
    return table


def _class_table(opened: OpenedDataset, counts: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(counts, index=pd.Index(opened.dataset.class_names, name="class"))


def _issues(opened: OpenedDataset, display: Display) -> list[_Issue]:
    """Return the suspicious labels of the validation images of a study's best trial."""
    run = _best_run(opened, display)
    if run is None:
        return []
    labels, probabilities = read_predictions(run.directory.predictions_path)
    split, positions = _validation_images(opened, run)
    expected = np.asarray(getattr(opened.dataset, split).labels)[positions]
    if not np.array_equal(labels, expected):
        display.problem(f"{run.description} was validated on other images, so no label was checked")
        return []
    names = getattr(opened.dataset, split).names
    found = []
    for row, probable in label_issues(expected, probabilities):
        position, label = int(positions[row]), int(expected[row])
        name = f"image {position} of {split}" if names is None else str(names[position])
        image = ImageFact(split, position, label, name)
        found.append(_Issue(image, probable, float(probabilities[row, label])))
    return found


def _best_run(opened: OpenedDataset, display: Display) -> Run | None:
    """Return the best trial of the study; None without such a trial, or without predictions for this data."""
    if not opened.source.study:
        return None
    try:
        run = best_run(current_runs(opened.source.study, display))
    except StudyError:  # no trial is complete yet
        return None
    if run.config.digest != opened.digest or not run.directory.predictions_path.exists():
        display.problem(f"{run.description} has no predictions for these images, so no label was checked")
        return None
    return run


def _validation_images(opened: OpenedDataset, run: Run) -> tuple[str, Any]:
    """Return the split of the validation images of a trial, and their positions in the split."""
    dataset, config = opened.dataset, run.config
    if dataset.validation is not None:
        return "validation", np.arange(len(dataset.validation))
    if config.folds > 1:
        return "train", np.arange(len(dataset.train))
    try:
        fold = fold_of_images(run.cache_dir, config.digest, dataset, config.validation)
    except DataError:
        return "train", np.zeros(0, int)
    return "train", np.flatnonzero(fold == 1)


def _tiles(
    opened: OpenedDataset, compared: Comparison, issues: Sequence[_Issue]
) -> dict[str, list[figures.Finding]]:
    """Return the suspicious images that the figure shows, by heading."""
    found: dict[str, list[tuple[ImageFact, Sequence[str | int]]]] = {}
    for kind in KINDS[:2]:
        same_images = [same for same in compared.identical.values() if _kind(opened, same) == kind]
        found[f"identical images {'with' if kind == 'two labels' else 'in'} {kind}"] = [
            (same[0], _caption(opened, kind, same)) for same in same_images
        ]
    found["constant images"] = [(image, [image.label]) for image in compared.constant]
    found["suspicious labels (label → probable class)"] = [
        (one.image, [one.image.label, "→", one.probable]) for one in issues
    ]
    return {
        f"{heading}: {len(images):,}": [
            figures.Finding(getattr(opened.dataset, image.split).images[image.position], caption)
            for image, caption in images[: figures.MAX_FINDINGS]
        ]
        for heading, images in found.items()
        if images
    }


def _caption(opened: OpenedDataset, kind: str, same: Sequence[ImageFact]) -> list[str | int]:
    """Return the caption of a set of identical images: the first two labels, or the first two splits."""
    values: list[str | int] = [one.label if kind == "two labels" else opened.split_of(one) for one in same]
    first, second, *_ = dict.fromkeys(values)
    return [first, "/", second]
