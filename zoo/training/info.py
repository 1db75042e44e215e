"""Facts about a model, stored in its file.

A `.keras` file is a zip archive. zoo adds a member `zoo.json`, which Keras ignores, with the fields of
`ModelInfo`. MLflow has the same document in the metadata of a model, under the key `zoo`.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from zoo.data.images import BIT_DEPTH, RESIZE_METHOD, color_mode_of
from zoo.errors import ModelError, one_line
from zoo.registry import given_files, plugin_requirements, top_level_package

_MEMBER = "zoo.json"
_MAX_DOCUMENT_SIZE = 16 * 2**20  # bytes of a JSON member; Keras's largest network needs 2 MB
_MAX_RATIO, _MIN_CHECKED_SIZE = 100, 2**28  # weights can be compressed this much only if all are equal


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a saved model. A field that is missing in the file has its default value.

    Args:
        class_names: the names of classes in the order of the outputs; None if unknown.
        image_height, image_width, channels: the shape of the images that the model takes, with raw pixels
            0–255; 0 if unknown.
        resize: how an image of another size is scaled.
        background, bit_depth: the arguments of `zoo.read_image` that the dataset used for its images.
        dataset, source, digest: the dataset that the model was trained on: its name, its origin, and SHA-256
            of its content.
        licence: the licence of the images; "" if unknown.
        architecture: the name of the architecture.
        study, trial: the study and trial that trained the model; `trial` is None for a standalone run.
        metrics: the trial's summary: `best_val_accuracy`, `best_epoch`, `parameters` …
        keras_version: the version of Keras that saved the model. An older version may be unable to load it.
        plugins: distribution -> version of the plugins that the trial used, including zoo's own plugins.
        modules: modules to import before the model is loaded -> what pip installs for each, "" if unknown;
            empty if the model has only Keras's own layers.
        plugin_files: name of each plugin file among these modules -> SHA-256 of the file.
    """

    class_names: tuple[str, ...] | None = None
    image_height: int = 0
    image_width: int = 0
    channels: int = 0
    resize: str = RESIZE_METHOD
    background: str = "white"
    bit_depth: int = BIT_DEPTH
    dataset: str = ""
    source: str = ""
    digest: str = ""
    licence: str = ""
    architecture: str = ""
    study: str = ""
    trial: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    keras_version: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    plugin_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        return self.image_height, self.image_width, self.channels

    @property
    def color_mode(self) -> str:
        """`rgb`, `grayscale`, or "" for images with another number of channels."""
        return color_mode_of(self.channels)

    @property
    def decoding(self) -> Mapping[str, Any]:
        """The keyword arguments of `zoo.read_image` that give the same pixels as in training."""
        return {"background": self.background, "bit_depth": self.bit_depth}

    @property
    def requirements(self) -> list[str]:
        """The distributions that loading the model needs besides Keras: `zoo-layered==0.3`."""
        return sorted(set(self.modules.values()) - {""})

    def as_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON. `from_json` gives an equal object again."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {**document, "color_mode": self.color_mode}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelInfo:
        """Return facts from the JSON of `as_json`; ignore keys of a newer version of zoo.

        Raises:
            ValueError: a value has another type.
        """
        names = {one.name for one in fields(cls)}
        values = {name: value for name, value in document.items() if name in names}
        if values.get("class_names") is not None:
            values["class_names"] = tuple(map(str, values["class_names"]))
        for name, default in asdict(cls()).items():
            value = values.get(name, default)
            if default is not None and not isinstance(value, type(default)):
                raise ValueError(f"{name}: expected {type(default).__name__}, got {value!r:.40}")
        return cls(**values)


def decoding_of(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters that a dataset and `zoo.read_image` share; {} if it reads no image files."""
    if not {"image_size", "color_mode"} <= set(parameters):
        return {}
    return {name: parameters[name] for name in ("background", "bit_depth") if name in parameters}


def add_info(path: Path, info: ModelInfo, architecture_module: str = "") -> None:
    """Write `info`, with Keras's version and the model's modules, into a `.keras` file without info.

    `architecture_module` is the module whose function built the model. If the model has layers of a library,
    this module becomes a required one, because pip installs the library with the distribution of the plugin.
    """
    with _open_model_file(path) as archive:
        used, keras_version = _modules_in(_read_json(archive, "config.json")), _keras_version(archive)
    modules = {module: _requirement(module) for module in used}
    files, plugins = {file.module: file for file in given_files()}, plugin_requirements()
    has_library = any(top_level_package(module) not in {*plugins, *files} for module in used)
    if has_library and top_level_package(architecture_module) in {*plugins, *files}:
        modules = {architecture_module: _requirement(architecture_module), **modules}
    plugin_files = {file.name: file.digest for module, file in files.items() if module in modules}
    info = replace(info, modules=modules, keras_version=keras_version, plugin_files=plugin_files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_MEMBER, json.dumps(info.as_json(), indent=1))


def read_info(path: Path) -> ModelInfo:
    """Return the facts in a `.keras` file; raise ModelError for any other file.

    If zoo did not write the file, only the image size, the modules and the Keras version are known.
    """
    with _open_model_file(path) as archive:
        if document := _read_member(archive):
            return ModelInfo.from_json(document)
        config = _read_json(archive, "config.json")
        values: dict[str, Any] = {"keras_version": _keras_version(archive)}
        values |= {"modules": dict.fromkeys(_modules_in(config), "")}
        shape = next(_input_shapes(config), ())
        if len(shape) == 4 and None not in shape[1:]:
            values |= dict(zip(("image_height", "image_width", "channels"), shape[1:], strict=True))
        return ModelInfo.from_json(values)


def custom_objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the configuration of every object inside `config` whose class is not Keras's own."""
    for part in _mappings(config):
        is_object = {"class_name", "module"} <= set(part)
        if is_object and top_level_package(part["module"] or "") not in ("keras", "builtins"):
            yield part


def has_lambda(config: Any) -> bool:
    """Return True if `config` contains the code of a Python lambda, which Keras does not run from a file."""
    return any(part.get("class_name") == "__lambda__" for part in _mappings(config))


def _mappings(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every dict inside `config`, outer ones first."""
    if isinstance(config, dict):
        yield config
    if isinstance(config, dict | list | tuple):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _mappings(value)


def _modules_in(config: Any) -> list[str]:
    """Return the modules of all classes and functions in a model's configuration except Keras's own."""
    return sorted({saved["module"] for saved in custom_objects(config) if saved["module"]})


def _input_shapes(config: Any) -> Iterator[list[int | None]]:
    """Yield the shapes `(batch, height, width, channels)` of the inputs in a model's configuration."""
    for part in _mappings(config):
        if part.get("class_name") == "InputLayer":
            yield part["config"]["batch_shape"]


@contextmanager
def _open_model_file(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a `.keras` file; errors in the block become a ModelError."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive)
            yield archive
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        LookupError,
        ValueError,
        TypeError,
        RuntimeError,  # also a RecursionError: a document that is nested too deeply
        MemoryError,
    ) as error:
        raise ModelError(
            f"the model {path} cannot be loaded: expected a file that Keras saved ({one_line(error)})"
        ) from error


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Raise ValueError if a member of a `.keras` file would need much more memory than the file's size.

    Keras reads whole members. No member is longer than its header states.
    """
    for member in archive.infolist():
        size = member.file_size
        if member.filename.endswith(".json") and size > _MAX_DOCUMENT_SIZE:
            limit = f"expected at most {_MAX_DOCUMENT_SIZE:,}"
            raise ValueError(f"{member.filename} has {size:,} bytes, {limit}")
        if size > max(_MIN_CHECKED_SIZE, _MAX_RATIO * member.compress_size):
            raise ValueError(f"{member.filename} is {member.compress_size:,} bytes that unpack to {size:,}")


def _read_json(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


def _read_member(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return zoo's member of a `.keras` file; {} if it has none."""
    return dict(_read_json(archive, _MEMBER)) if _MEMBER in archive.namelist() else {}


def _keras_version(archive: zipfile.ZipFile) -> str:
    return str(_read_json(archive, "metadata.json")["keras_version"])


def _requirement(module: str) -> str:
    """Return `distribution==version` of a module; "" if it belongs to no distribution."""
    package = top_level_package(module)
    if any(package == file.module for file in given_files()):
        return ""  # pip cannot install it
    plugin_packages = plugin_requirements()
    if package in plugin_packages:  # the metadata of an editable installation lists no packages
        return plugin_packages[package]
    for name in metadata.packages_distributions().get(package, ()):
        return f"{name}=={metadata.version(name)}"
    return ""
