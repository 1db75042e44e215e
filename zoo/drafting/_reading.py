"""Preparing a dataset as `zoo tune` does, with parameters that follow from its content."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.data.dataset import Dataset, class_counts
from zoo.data.prepare import prepare_in_process
from zoo.data.store import PreparedDataset, image_names, open_dataset
from zoo.data.table_pixels import DARK
from zoo.drafting._document import toml
from zoo.drafting._facts import Facts
from zoo.drafting._image_files import ImageFiles, find_image_files
from zoo.drafting._name_groups import find_name_groups
from zoo.drafting._sizes import image_size_for
from zoo.drafting._sources import Source, locate
from zoo.errors import SpaceError, ZooError, count_text
from zoo.record import StudyDirectory, create_folder
from zoo.registry import Component, Registry
from zoo.trial import PluginConfig
from zoo.tuning.display import Display

MAX_READINGS = 8
# Why a dataset's error message suggested a value, by parameter; a comment in the study file.
REASONS = {
    "path": "the inner folder that has the class folders",
    "header": "line 1 has an image, not the names of the columns",
    "encoding": "from the first bytes of the file",
    "label_column": "the only column that is not named like the others",
    "drop_columns": "these columns have no pixels",
    "scale": "multiplies the pixels, so that they reach 255",
    "images": "the only array with the shape of images",
    "labels": "the only array with one label for each image",
}


class Reader:
    """A reader of a dataset that finds its parameters, but never changes `settings` of the user."""

    def __init__(self, source: Source, settings: Mapping[str, Any], display: Display) -> None:
        self._source = source
        self._settings = settings
        self._display = display
        self._component = Registry.load().get("dataset", source.dataset)
        self._parameters = {**source.parameters, **settings}
        self._found: dict[str, str] = {}
        self._cache_dir = StudyDirectory(Path.cwd(), "").cache_dir

    def read(self) -> tuple[Facts, str]:
        """Return the facts about the dataset, and its digest.

        Raise ZooError if the dataset cannot be read; the message says how to give a parameter.
        """
        self._check(self._parameters)
        self._display.phase("preparing the dataset …")
        for _ in range(MAX_READINGS):
            try:
                files = self._look_at_files()
                prepared = self._prepare()
            except ZooError as error:
                if not self._apply(error.fix):
                    raise _with_advice(error, self._source.path, self._component) from None
                continue
            dataset = open_dataset(self._cache_dir, prepared.digest)
            if not self._apply(self._brightness_fix(files, dataset)):
                return self._facts(prepared, dataset, files), prepared.digest
        raise ZooError(
            f"{self._source.path} could not be read with {self._parameters}; write a study by hand."
        )

    def _check(self, parameters: Mapping[str, Any]) -> None:
        try:
            self._component.space.check(parameters)
        except SpaceError as error:
            raise SpaceError(f"--set: the dataset '{self._source.dataset}': {error}") from None

    def _look_at_files(self) -> ImageFiles | None:
        """Return the image files, if there are any, after setting `image_size` and `color_mode` for them."""
        files = find_image_files(self._component, self._parameters)
        if files is None:
            return None
        self._display.phase(f"{count_text(files.count, 'image file')}, {files.sizes_text()} pixels")
        size = image_size_for(files)
        if size is not None:
            reason = f"the files have {files.sizes_text()}"
            self._set("image_size", list(size) if size[0] != size[1] else size[0], reason)
        mode = "grayscale" if files.is_grey else "rgb"
        self._set("color_mode", mode, f"the images have {'no ' if files.is_grey else ''}color")
        return files

    def _prepare(self) -> PreparedDataset:
        """Prepare the dataset in its own process, as `zoo tune` does, without a validation split."""
        config = PluginConfig(self._component.name, self._component.space.check(self._parameters))
        create_folder(self._cache_dir)
        log = self._cache_dir / "prepare.log"
        return prepare_in_process(config, {}, self._cache_dir, log, self._display.preparing)

    def _apply(self, fix: Mapping[str, Any]) -> bool:
        """Set the parameters in `fix`; return False if nothing changed, such as when the user set them."""
        before = dict(self._parameters)
        for name, value in fix.items():
            self._set(name, self._as_given(value) if name == "path" else value, REASONS.get(name, ""))
        if self._parameters == before:
            return False
        settings = ", ".join(f"{name} = {toml(value)}" for name, value in fix.items())
        self._display.phase(f"reading again with {settings} …")
        return True

    def _as_given(self, path: str) -> str:
        """Return a path inside the user's path: relative if the user's path is relative."""
        return str(Path(self._source.path, Path(path).relative_to(locate(self._source.path))))

    def _set(self, name: str, value: Any, reason: str) -> None:
        if name not in self._settings:
            self._parameters[name] = value
            self._found[name] = reason

    def _brightness_fix(self, files: ImageFiles | None, dataset: Dataset) -> dict[str, Any]:
        """Return a parameter that makes the images brighter if all are much too dark; usually {}."""
        brightest = int(dataset.train.images.max())
        if not 0 < brightest < DARK:
            return {}
        if files is None and "scale" in self._component.space and "scale" not in self._parameters:
            return {"scale": float(f"{255 / brightest:.6g}")}
        if files is not None and files.is_deep and "bit_depth" not in self._parameters:
            return {"bit_depth": 8 + brightest.bit_length()}
        return {}

    def _facts(self, prepared: PreparedDataset, dataset: Dataset, files: ImageFiles | None) -> Facts:
        # Other datasets have no parameter `group`, or their names are those of rows in a table.
        has_names = files is not None and "group" in self._component.space and "group" not in self._parameters
        names = image_names(self._cache_dir, prepared.digest, "train") if has_names else []
        return Facts(
            path=self._source.path,
            dataset=self._component.name,
            parameters=self._parameters,
            found=self._found,
            notes=self._source.notes,
            class_names=prepared.class_names,
            image_shape=prepared.image_shape,
            counts=class_counts(dataset),
            files=files,
            warning=prepared.warning,
            name_groups=find_name_groups(names, len(dataset.class_names)) if names else None,
        )


def _with_advice(error: ZooError, path: str, component: Component) -> ZooError:
    """Return the error; if its message names a parameter to set, it also names the option of `zoo init`."""
    text = str(error)
    named = [name for name in re.findall(r"\b[Ss]et (\w+)", text) if name in component.space]
    if named:
        example = re.search(rf'{named[0]} = (\[[^\]]*\]|"[^"]*"|[\w-]+)', text)
        value = example[1].replace(" ", "") if example else "VALUE"
        option = shlex.join([path, "--set", f"{named[0]}={value}"])
        text = f"{text} To set it here: `zoo init {option}`."
    return type(error)(text) if type(error).__module__ == ZooError.__module__ else ZooError(text)
