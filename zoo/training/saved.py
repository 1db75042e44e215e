"""What a saved model needs besides Keras: the modules of plugins that its layers are defined in.

A `.keras` file is an archive. Where layers are not Keras's own, zoo adds a member `zoo.json` to it,
which Keras passes over: each module, and the distribution that pip would have to install for it.

    {"modules": {"zoo_layered.layers": "zoo-layered==0.3"}}
"""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError, ZooError, one_line
from zoo.registry import plugin_requirements

if TYPE_CHECKING:
    import keras

_NEEDS = "zoo.json"
_OF_KERAS = ("keras", "builtins")


class ModelError(ZooError):
    """A saved model cannot be loaded: which, why, and what to install."""


@dataclass(frozen=True)
class Needs:
    """What has to be imported before a model is loaded.

    Args:
        modules: module → what pip installs for it, `zoo-layered==0.3`; "" where nobody knows.
    """

    modules: Mapping[str, str]

    @property
    def requirements(self) -> list[str]:
        return sorted({requirement for requirement in self.modules.values() if requirement})


def check_layers_registered(network: keras.Model) -> None:
    """Whether every layer class can be found again when the model is loaded.

    Raises:
        PluginError: one is not Keras's own and not registered with it.
    """
    import keras

    for layer in network._flatten_layers():
        kind = type(layer)
        if _package(kind.__module__) in _OF_KERAS:
            continue
        name = keras.saving.get_registered_name(kind)
        if keras.saving.get_registered_object(name) is not kind:
            raise PluginError(
                f"its layer {kind.__name__} ({kind.__module__}) could not be loaded again: it is not "
                "registered with Keras; put @keras.saving.register_keras_serializable(package=…) above it"
            )
        if "<locals>" in kind.__qualname__:
            raise PluginError(
                f"its layer {kind.__name__} ({kind.__module__}) could not be loaded again: it is defined "
                "inside a function; define it in a module of its own, which the function imports"
            )


def note_needs(file: Path) -> None:
    """Write into a `.keras` file what it needs, as it is installed here; nothing if that is Keras alone."""
    modules = {module: _requirement(module) for module in _modules_in(file)}
    if modules:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(_NEEDS, json.dumps({"modules": modules}, indent=1))


def needs_of(file: Path) -> Needs:
    """What a `.keras` file needs; of one that zoo did not write, without the distributions.

    Raises:
        ModelError: it is not such a file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if _NEEDS in archive.namelist():
                return Needs(dict(json.loads(archive.read(_NEEDS))["modules"]))
        return Needs(dict.fromkeys(_modules_in(file), ""))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ModelError(
            f"The model {file} cannot be loaded: it is not a file that Keras saved ({one_line(error)})"
        ) from error


def load_file(file: Path, told: str = "") -> keras.Model:
    """The model in a `.keras` file, the plugins it needs imported first.

    Args:
        told: what errors call it; its path by default.

    Raises:
        ModelError: it is no such file, or what it needs is not installed.
    """
    told = told or str(file)
    import_needs(file, told)
    import keras

    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:
        raise ModelError(f"The model {told} cannot be loaded: {cause_of(error)[:300]}") from error


def cause_of(error: BaseException) -> str:
    """In one line what Keras could not load; it tells of every layer around that too, in full."""
    return one_line(error).rpartition("Exception encountered: ")[2]


def import_needs(file: Path, told: str = "") -> None:
    """Import the modules in which a model's layers are defined, so that Keras knows them.

    Only modules of zoo plugins are, and what is imported already stays so: a file from elsewhere shall
    not have any other code run.

    Raises:
        ModelError: one is not installed, cannot be imported, or is no plugin's.
    """
    needs = needs_of(file)
    for warning in other_versions(file, told):
        warnings.warn(warning, stacklevel=4)  # where zoo.load_model was called
    for module, requirement in needs.modules.items():
        _import(told or str(file), module, requirement)


def _import(model: str, module: str, requirement: str) -> None:
    origin = f" ({requirement.replace('==', ' ')})" if requirement else ""
    told = f"The model {model} has layers of {module}{origin}"
    if util.find_spec(_package(module)) is None:
        way = f"pip install {requirement}" if requirement else "install the plugin it came from"
        raise ModelError(f"{told}, which is not installed; {way}")
    if module not in sys.modules and _package(module) not in plugin_requirements():
        raise ModelError(f"{told}, which is not a zoo plugin; import {module} first, if you trust it")
    try:
        import_module(module)
    except Exception as error:
        way = f"; pip install {requirement}" if requirement else ""
        said = f"{type(error).__name__}: {one_line(error)}"
        raise ModelError(f"{told}, which cannot be imported: {said}{way}") from error


def other_versions(file: Path, told: str = "") -> Iterator[str]:
    """A sentence on each plugin that is installed in another version than the model was saved with.

    Raises:
        ModelError: it is no file that Keras saved.
    """
    for requirement in needs_of(file).requirements:
        name, _, version = requirement.partition("==")
        try:
            there = metadata.version(name)
        except Exception:  # not there, or not readable: by whichever finder of distributions answers
            continue  # the import tells
        if version and there != version:
            yield (
                f"The model {told or file} was saved with {name} {version}, but {there} is installed, "
                f"and may compute something else; pip install {requirement}"
            )


def _modules_in(file: Path) -> list[str]:
    """The modules, other than Keras's own, that a model's configuration names."""
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
    return sorted({module for module in _named(config) if _package(module) not in _OF_KERAS})


def _named(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(config.get("module"), str) and "class_name" in config:
            yield config["module"]
        for value in config.values():
            yield from _named(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named(value)


def _requirement(module: str) -> str:
    """`distribution==version` of the module; "" for one that no distribution has."""
    package = _package(module)
    of_plugins = plugin_requirements()
    if package in of_plugins:  # where pip installed a link, nothing else knows the package
        return of_plugins[package]
    for name in metadata.packages_distributions().get(package, ()):
        return f"{name}=={metadata.version(name)}"
    return ""


def _package(module: str) -> str:
    return module.partition(".")[0]
