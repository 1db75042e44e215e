"""Exporting a model into another format, and comparing the result with the original."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.data import Dataset, Split
from zoo.data.images import read_image
from zoo.errors import ImageError, ModelError, ZooError, count_text
from zoo.files import check_writable, flush_to_disk, remove_leftovers, temporary_folder
from zoo.models.finding import FoundModel
from zoo.models.formats import FORMATS, convert, run
from zoo.models.image_files import image_files
from zoo.training.worker import call_in_worker
from zoo.tuning.display import Display

_NUM_COMPARED = 100  # images on which the exported model is compared with the original
_NUM_CALIBRATION = 300  # training images that determine the ranges of int8 values
_NUM_SCORED = 1000  # images on which the accuracy of a quantized model is measured
_MAX_DIFFERENCE = 1e-3  # of two probabilities; rounding in float32 causes smaller differences

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Exported:
    """An exported model, compared with the original.

    Args:
        path: the exported file or folder.
        details_path: the JSON file beside it, with the class names and all other facts about the model.
        images: the images of the comparison, such as `100 images of the test split of mnist`.
        num_images: the number of these images.
        largest_difference: the largest difference between the models' probabilities.
        num_equal: the number of images for which both models name the same class.
        accuracies: the accuracy of the original, that of the exported model, and the number of images; None
            unless the model is quantized and the labels are known.
        calibration: the images that determined the ranges of a quantized model; "" for other models.
    """

    path: Path
    details_path: Path
    images: str
    num_images: int
    largest_difference: float
    num_equal: int
    accuracies: tuple[float, float, int] | None = None
    calibration: str = ""


@dataclass(frozen=True)
class _Images:
    pixels: Array
    origin: str  # `of the test split of mnist`
    labels: Array | None = None

    def text(self, count: int) -> str:
        return f"{count_text(count, 'image')} {self.origin}"

    def take(self, count: int) -> _Images:
        """Return at most `count` images, evenly spaced: datasets of folders are sorted by class."""
        indices = _evenly_spaced(len(self.pixels), count)
        labels = None if self.labels is None else self.labels[indices]
        return _Images(np.asarray(self.pixels[indices]), self.origin, labels)


def export_model(
    found: FoundModel,
    format: str,
    output: Path | None,
    display: Display,
    *,
    images: Sequence[str] = (),
    overwrite: bool = False,
) -> Exported:
    """Write a model in one of `FORMATS`, and compare it with the original in the format's own runtime.

    The file and the JSON file beside it appear only when both are complete and the exported model has run.

    Args:
        output: the file or folder to write; by default named like the study, in the working folder.
        images: image files and folders for the comparison; by default the test split of the model's dataset,
            or random pixels if the dataset is not available.

    Raises:
        ModelError: a converter is missing, or the model cannot be converted.
        ZooError: `output` exists, or no image can be read.
    """
    _check_installed(format)
    path = _output_path(found, format, output)
    details_path = path.with_name(f"{path.name}.json")
    _check_free(found, [path, details_path], overwrite)
    check_writable(details_path, "--output")
    dataset = None
    with suppress(ZooError):
        dataset = found.dataset(display)
    given = _read_images(found, images, display) if images else None
    compared = given or _split_images(found, dataset) or _random_images(found)
    calibration = _calibration(found, format, dataset, given)
    is_scored = calibration is not None and compared.labels is not None
    scored = compared.take(_NUM_SCORED if is_scored else _NUM_COMPARED)
    display.phase(f"converting {found.name} to {format} …")
    try:
        remove_leftovers(path.parent)
        with temporary_folder(path.parent.resolve()) as folder:
            target, details_target = folder / f"model{FORMATS[format].suffix}", folder / "details.json"
            details = _details(found, format)
            details_target.write_text(json.dumps(details, indent=1, ensure_ascii=False) + "\n", "utf-8")
            arrays = scored.pixels, None if calibration is None else calibration.pixels
            original = _call(found, format, convert, found.path.resolve(), target, details, *arrays)
            display.phase("comparing it with the original …")
            exported = _call(found, format, run, target, scored.pixels)
            _place(target, path)
            _place(details_target, details_path)
    except OSError as error:
        raise ZooError(f"{path} cannot be written: {error.strerror}") from error
    result = _compare(path, details_path, original, exported, scored, calibration)
    is_close = result.largest_difference <= _MAX_DIFFERENCE  # False for NaN
    if calibration is None and not is_close:
        display.problem(
            "the exported model differs from the original: a probability differs by "
            f"{result.largest_difference:.2g}, expected at most {_MAX_DIFFERENCE}; do not use {path}"
        )
    return result


def _compare(
    path: Path,
    details_path: Path,
    original: Array,
    exported: Array,
    scored: _Images,
    calibration: _Images | None,
) -> Exported:
    """Return the comparison of two models by their probabilities for the images `scored`."""
    rows = _evenly_spaced(len(original), _NUM_COMPARED)
    accuracies = None
    if calibration is not None and scored.labels is not None:
        first, second = (float((one.argmax(axis=1) == scored.labels).mean()) for one in (original, exported))
        accuracies = first, second, len(scored.labels)
    return Exported(
        path=path,
        details_path=details_path,
        images=scored.text(len(rows)),
        num_images=len(rows),
        largest_difference=float(np.abs(exported[rows] - original[rows]).max()),
        num_equal=int((exported[rows].argmax(axis=1) == original[rows].argmax(axis=1)).sum()),
        accuracies=accuracies,
        calibration="" if calibration is None else calibration.text(len(calibration.pixels)),
    )


def _evenly_spaced(length: int, count: int) -> npt.NDArray[np.integer]:
    return np.linspace(0, length - 1, min(length, count)).round().astype(int)


def _check_installed(format: str) -> None:
    missing = [module for module in FORMATS[format].modules if find_spec(module) is None]
    if missing:
        raise ModelError(
            f"the format {format} needs {', '.join(missing)}, which is not installed: "
            f"pip install 'keras-zoo[{FORMATS[format].extra}]'"
        )


def _output_path(found: FoundModel, format: str, output: Path | None) -> Path:
    suffix = FORMATS[format].suffix
    if output is None:
        end = "_int8" if FORMATS[format].is_quantized else ""
        end += suffix or "_saved_model"
        return Path(f"{found.info.study or 'model'}{end}")
    if suffix and output.suffix != suffix:
        raise ZooError(f"--output: expected a file that ends in {suffix}, got {output}")
    if not output.name:
        raise ZooError(f"--output: expected the name of a new folder, got {output}")
    return output


def _check_free(found: FoundModel, paths: Sequence[Path], overwrite: bool) -> None:
    existing = [path for path in paths if os.path.lexists(path)]
    if existing and not overwrite:
        raise ZooError(f"{existing[0]} exists already. Give another name with --output, or add --overwrite.")
    if paths[0].is_dir() and not (paths[0] / "saved_model.pb").is_file():
        raise ZooError(f"{paths[0]} is a folder without a SavedModel. Give another name with --output.")
    if paths[0].exists() and paths[0].resolve() in (found.path.resolve(), *found.path.resolve().parents):
        raise ZooError(f"{paths[0]} is or contains the model to export. Give another name with --output.")


def _split_images(found: FoundModel, dataset: Dataset | None) -> _Images | None:
    if dataset is None:
        return None
    split, name = (dataset.test, "test") if dataset.test is not None else (dataset.train, "training")
    return _labelled_images(split, f"of the {name} split of {found.info.dataset}")


def _labelled_images(split: Split, origin: str) -> _Images:
    return _Images(split.images, origin, np.asarray(split.labels))


def _calibration(
    found: FoundModel, format: str, dataset: Dataset | None, given: _Images | None
) -> _Images | None:
    """Return the images that determine the ranges of a quantized model; None for other formats."""
    if not FORMATS[format].is_quantized:
        return None
    if dataset is not None:
        images = _labelled_images(dataset.train, f"of the training split of {found.info.dataset}")
    elif given is not None:
        images = given
    else:
        raise ModelError(
            f"the format {format} needs training images, but the dataset of {found.name} is not in the cache "
            "of this folder. Give image files that resemble the training images with --images."
        )
    return images.take(_NUM_CALIBRATION)


def _read_images(found: FoundModel, arguments: Sequence[str], display: Display) -> _Images:
    files, problems = image_files(arguments)
    shape, color_mode = found.info.image_shape, found.info.color_mode
    if not color_mode:
        raise ModelError(
            f"the model {found.name} takes images with {shape[2]} channels, but image files are read with 1 "
            "(grayscale) or 3 (rgb); leave out --images."
        )
    pixels = []
    for file in files:
        try:
            pixels.append(read_image(Path(file), color_mode, shape[:2], **found.info.decoding))
        except ImageError as error:
            problems.append(f"{file}: {error.reason}")
    for problem in problems if pixels else ():
        display.problem(f"skipped {problem}")
    if not pixels:
        raise ZooError(f"--images: no image can be read: {'; '.join(problems)}.")
    return _Images(np.stack(pixels), "of --images")


def _random_images(found: FoundModel) -> _Images:
    shape = found.info.image_shape
    if 0 in shape:
        raise ModelError(f"the model {found.name} does not say which image size it takes.")
    pixels = np.random.default_rng(0).integers(0, 256, (_NUM_COMPARED, *shape), np.uint8)
    return _Images(pixels, "of random pixels, because the model's dataset is not available")


def _details(found: FoundModel, format: str) -> dict[str, Any]:
    """Return the content of the JSON file beside an exported model."""
    info = found.info.as_json()
    batch_size = FORMATS[format].batch_size
    return {
        "format": format,
        "input": {
            "shape": [batch_size, *found.info.image_shape],
            "axes": "batch, height, width, channels",
            "dtype": "float32",
            "pixels": "raw, from 0 to 255; the model scales them itself",
        },
        "output": "class probabilities, float32, in the order of class_names",
        **info,
    }


def _call(found: FoundModel, format: str, function: Any, *arguments: Any) -> Array:
    """Call a function of `formats` in a worker process; after a failure, keep the output of the process."""
    handle, name = tempfile.mkstemp(prefix="zoo-export-", suffix=".log")
    os.close(handle)
    log_path, is_kept = Path(name), False
    try:
        result: Array = call_in_worker(function, format, *arguments, log_path=log_path)
        return result
    except ZooError as error:
        is_kept = log_path.stat().st_size > 0
        where = f"; the output is in {name}" if is_kept and name not in str(error) else ""
        raise ModelError(f"{found.name} cannot be exported as {format}: {error}{where}") from None
    finally:
        if not is_kept:  # even after Ctrl-C
            log_path.unlink()


def _place(source: Path, path: Path) -> None:
    """Move `source` to `path`; move an existing folder into the temporary folder first."""
    for file in source.rglob("*") if source.is_dir() else [source]:
        flush_to_disk(file)
    if path.exists() and (path.is_dir() or source.is_dir()):  # a rename can only replace a file by a file
        path.rename(source.with_name("replaced"))
    source.replace(path)
