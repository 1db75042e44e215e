"""A plugin to begin with: a whole distribution, written from the templates beside this file.

The templates are plain text with `$names` for `string.Template`: copier or cookiecutter would each
bring a dozen packages to fill in the same seven files.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.metadata
import importlib.util
import json
import keyword
import re
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from string import Template

from zoo._version import __version__
from zoo.errors import PluginError
from zoo.registry import HOOKS, Registry

LICENSES: Mapping[str, str] = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}
# path in the distribution → template, and what it is for
FILES: Mapping[str, tuple[str, str]] = {
    "pyproject.toml": ("pyproject.toml.txt", "name, version, dependencies, and how zoo finds it"),
    "src/$package/__init__.py": ("$kind/module.py.txt", "the plugin: write your $kind here"),
    "tests/test_$package.py": ("test.py.txt", "runs every check of zoo's conformance kit"),
    "README.md": ("README.md.txt", "what its users read"),
    "LICENSE": ("licenses/$license_key.txt", "$license"),
    ".github/workflows/test.yml": ("workflow.yml.txt", "the tests at every push, on GitHub Actions"),
    ".gitignore": ("gitignore.txt", "what git leaves alone"),
}

_TEMPLATES = Path(__file__).with_name("templates")
# The templates call something else by these names.
_USED = {"hookimpl", "register", "parametrize_with_checks", "check", "test_conformance", *HOOKS.values()}


def write_plugin(
    name: str, kind: str, folder: Path, registry: Registry, *, author: str = "", license: str = "apache-2.0"
) -> dict[str, str]:
    """Write the distribution `name`, with one `kind` in it, to `folder`.

    Args:
        name: as it will be published, `zoo-mynet`: the function is then `mynet`, the package `zoo_mynet`.
        kind: `architecture`, `dataset` or `augmentation`.
        folder: new, or empty.
        registry: in which the name has to be free.
        author: for LICENSE and pyproject.toml; "The authors of zoo-mynet" if empty.
        license: a key of LICENSES.

    Returns:
        Each file written, relative to `folder`, and what it is for.

    Raises:
        PluginError: the name cannot be had, or the folder cannot be written; nothing was written then.
    """
    names = _names(name, kind, author, license)
    _check_free(names, kind, registry)
    _check_folder(folder)
    texts = {_filled(path, names): _text(template, names) for path, (template, _) in FILES.items()}
    try:
        # All or nothing: beside its place first, and then moved there at once.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            for path, text in texts.items():
                file = Path(scratch, folder.name, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            Path(scratch, folder.name).rename(folder)
    except OSError as error:
        raise PluginError(f"'{folder}' cannot be written: {error.strerror}.") from error
    return {_filled(path, names): _filled(purpose, names) for path, (_, purpose) in FILES.items()}


def _names(name: str, kind: str, author: str, license: str) -> dict[str, str]:
    """What the templates' `$names` stand for."""
    spelt = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if name != spelt or not re.match("[a-z]", name):
        hint = f" Did you mean '{spelt}'?" if re.match("[a-z]", spelt) else ""
        raise PluginError(
            f"{name!r} is no name for a distribution here; expected lower-case letters, digits and single "
            f"hyphens, a letter first, such as 'zoo-mynet'.{hint}"
        )
    author = author or f"The authors of {name}"
    if not author.isprintable() or not author.strip():
        raise PluginError(f"The author is one line of text, but got {author!r}.")
    package = name.replace("-", "_")
    function = package.removeprefix("zoo_")
    names = {
        "distribution": name,
        "package": package,
        "function": function,
        "kind": kind,
        "study_name": f"{function}_conv_net" if kind == "dataset" else f"digits_{function}",
        "summary": f"{function}: {'a' if kind == 'dataset' else 'an'} {kind} for zoo.",
        "author": author,
        "author_toml": json.dumps(author, ensure_ascii=False),  # a string is written alike in both
        "license_key": license,
        "license": LICENSES[license],
        "year": str(date.today().year),
        "zoo": ".".join(__version__.split(".")[:2]),
    }
    return {**names, "study": _text(f"{kind}/study.toml.txt", names).rstrip()}


def _check_free(names: Mapping[str, str], kind: str, registry: Registry) -> None:
    """PluginError where one of `names` is taken, or means something else in Python."""
    function, package = names["function"], names["package"]
    reserved = {*keyword.kwlist, *dir(builtins), *_USED}
    if not function.isidentifier() or function in reserved:
        raise PluginError(
            f"The {kind} of '{names['distribution']}' would be a function called '{function}', which cannot "
            f"be, or means something else already. Choose another name, such as 'zoo-my-{function}'."
        )
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution(names["distribution"])
        raise PluginError(
            f"The distribution '{names['distribution']}' is installed already, and pip would put this one in "
            "its place. Choose another name."
        )
    if function in registry.names(kind):
        entry = registry.get(kind, function)
        raise PluginError(
            f"The {kind} '{function}' is already registered by {entry.origin}, and nobody could tell which "
            "is meant. Choose another name."
        )
    if importlib.util.find_spec(package) is not None:
        raise PluginError(
            f"There is a Python package '{package}' already, which would hide this one or be hidden by it. "
            "Choose another name, or uninstall it."
        )


def _check_folder(folder: Path) -> None:
    """PluginError unless `folder` can be made, or is empty and can be replaced."""
    if not folder.parent.is_dir():
        raise PluginError(f"There is no folder '{folder.parent}' to put '{folder.name}' into; make it first.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise PluginError(f"'{folder}' exists and is no folder. Choose another one with --folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise PluginError(f"The folder '{folder}' is not empty. Choose another one with --folder.")
    if folder.is_dir() and folder.samefile(Path.cwd()):
        raise PluginError(f"'{folder}' is the working folder, which cannot be replaced. Go one up first.")


def _text(template: str, names: Mapping[str, str]) -> str:
    return _filled((_TEMPLATES / _filled(template, names)).read_text(encoding="utf-8"), names)


def _filled(text: str, names: Mapping[str, str]) -> str:
    return Template(text).substitute(names)
