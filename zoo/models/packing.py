"""Packs: one file with a model and all facts about it.

A pack is a zip archive of uncompressed members. The same model always gives the same bytes:

    SHA256SUMS     the checksum of every other member, in the format of `sha256sum`
    model.keras    the model
    info.json      the facts about the model, as in `model.keras`
    README.md      the card of a registered model, or else the facts of `info.json` as text
    config.json    the configuration of the trial that trained the model, if the working folder has its record
    study.toml     the study file, if the working folder has that record
    my_net.py      every plugin file that the model or its trial needs

Unpacking reads bytes, and never loads the model. Checksums detect damage, but not forgery.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.checksums import read_text
from zoo.errors import ModelError, ZooError, one_line
from zoo.files import atomic_path, check_writable, remove_leftovers, temporary_folder
from zoo.models.finding import FoundModel
from zoo.models.listing import find_registered
from zoo.record import Run, StudyDirectory, run_in
from zoo.registry import given_files, is_file_key, kept_path, short_digest
from zoo.training.info import ModelInfo, read_info

_CHECKSUMS, _MODEL = "SHA256SUMS", "model.keras"
_MEMBERS = (_CHECKSUMS, _MODEL, "info.json", "README.md", "config.json", "study.toml")
_PLUGIN_FILE = re.compile(r"[A-Za-z_]\w*\.py", re.ASCII)
_MAX_TEXT = 1 << 22  # bytes of a member other than the model
_MAX_GROWTH = 1 << 28  # bytes; limit of the size of a `.keras` file's content minus the file's size
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip archive; any fixed date works


def pack_model(found: FoundModel, file: Path, *, overwrite: bool = False) -> list[str]:
    """Write a pack of a model to `file`, and return the names of its members.

    Raises:
        ModelError: the model is damaged, or no copy of a plugin file that it needs exists.
        ZooError: `file` exists, or cannot be written.
    """
    if os.path.lexists(file) and not overwrite:
        raise ZooError(f"{file} exists already. Give another name, or add --overwrite.")
    check_writable(file, "FILE")
    try:
        _check_model(found.path)
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise ModelError(
            f"the model {found.name} is damaged, so it is not packed: {one_line(error)}. "
            "Get it again from its origin."
        ) from error
    run = _run_of(found)
    contents = {name: text.encode() for name, text in _texts(found, run).items()} | _plugin_files(found, run)
    sums = {_MODEL: _digest(found.path)}
    sums |= {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    model = _member(_MODEL, found.path.stat().st_size)
    try:
        with atomic_path(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr(_member(_CHECKSUMS), "".join(f"{sums[name]}  {name}\n" for name in sums))
            with archive.open(model, "w") as target, found.path.open("rb") as source:
                shutil.copyfileobj(source, target)
            for name, content in contents.items():
                archive.writestr(_member(name), content)
    except OSError as error:
        raise ZooError(f"{file} cannot be written: {error.strerror}") from error
    return [_CHECKSUMS, _MODEL, *contents]


def unpack_model(file: Path, folder: Path) -> ModelInfo:
    """Verify a pack, place its members in a new folder, and return the facts about its model.

    Raises:
        ModelError: the file is not a pack, is damaged, or has unknown members.
        ZooError: `folder` exists.
    """
    if os.path.lexists(folder):
        raise ZooError(f"{folder} exists already. Give another folder with --output.")
    if not folder.parent.is_dir():
        raise ZooError(f"--output: the folder {folder.parent} does not exist; create it first.")
    if not file.is_file():  # such as a named pipe, which blocks when it is opened
        what = f"{file} is not a file" if os.path.lexists(file) else f"there is no file {file}"
        raise ModelError(f"{what}. Expected a pack, which `zoo models pack` writes.")
    with _open_pack(file) as archive:
        members = _checked_members(archive, file)
        remove_leftovers(folder.parent)
        with temporary_folder(folder.parent) as temporary:
            sums = {name: _extract(archive, member, temporary / name) for name, member in members.items()}
            expected = _expected_sums((temporary / _CHECKSUMS).read_text(encoding="utf-8"))
            del sums[_CHECKSUMS]
            for name in sorted({*sums, *expected}):
                if sums.get(name) != expected.get(name):
                    raise ValueError(f"the checksum of {name} is wrong")
            _check_model(temporary / _MODEL)
            info = _facts(temporary / _MODEL)
            temporary.rename(folder)
    return info


def _texts(found: FoundModel, run: Run | None) -> Mapping[str, str]:
    """Return the content of the text members of a pack."""
    from zoo.tracking import model_card

    texts = {
        "info.json": json.dumps(found.info.as_json(), indent=1, ensure_ascii=False) + "\n",
        "README.md": _registered_card(found) or model_card(found.info, "FOLDER"),
    }
    if run is not None:
        texts["config.json"] = json.dumps(run.config.as_json(), indent=1, ensure_ascii=False) + "\n"
        definition = run.directory.path.resolve().parents[1] / "study.toml"
        if text := read_text(definition, "Restore it from a backup, or delete it."):
            texts["study.toml"] = text + "\n"
    return texts


def _plugin_files(found: FoundModel, run: Run | None) -> dict[str, bytes]:
    """Return the content of the plugin files that the model or its trial needs, by name.

    The content comes from given files, from copies in the record, or from the folder of an unpacked pack.
    Raises ModelError if there is no copy of a file with layers of the model.
    """
    needed = {name: short_digest(digest) for name, digest in found.info.plugin_files.items()}
    used = run.config.plugins.items() if run is not None else ()
    needed |= {key.partition(":")[0]: version for key, version in used if is_file_key(key)}
    studies = [StudyDirectory(Path.cwd(), found.info.study).path] if found.info.study else []
    if run is not None:
        studies.append(run.directory.path.resolve().parents[1])
    contents = {}
    for name, version in sorted(needed.items()):
        paths = [*(kept_path(study, name, version) for study in studies), found.path.parent / name]
        copies = [file.source for file in given_files() if file.name == name]
        copies += [path.read_bytes() for path in paths if path.is_file()]
        same = [copy for copy in copies if short_digest(hashlib.sha256(copy).hexdigest()) == version]
        if not same and name in found.info.plugin_files:
            raise ModelError(
                f"the model {found.name} needs the plugin file {name} ({version}…), which has no "
                f"copy here; add `--plugin {name}`."
            )
        if same:
            contents[name] = same[0]
    return contents


def _run_of(found: FoundModel) -> Run | None:
    """Return the run that trained the model; None if the working folder has no run with this model."""
    if found.run is not None or found.info.trial is None:
        return found.run
    trial = StudyDirectory(Path.cwd(), found.info.study).trial(found.info.trial)
    is_same = trial.model_path.is_file() and _digest(trial.model_path) == _digest(found.path)
    return run_in(trial.path) if is_same else None


def _registered_card(found: FoundModel) -> str:
    """Return the card of a registered model; "" if the model was found by a name of another form."""
    if not found.address.startswith("models:/"):
        return ""
    with suppress(ZooError):  # `models:/m-…` is the address of a logged model, not of a registered one
        return find_registered(found.address).description
    return ""


def _member(name: str, size: int = 0) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3  # Unix, on every system
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    member.file_size = size  # `ZipFile.open` needs it to decide on 64-bit sizes
    return member


@contextmanager
def _open_pack(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open a pack; raise ModelError if the block fails because of the pack's content."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except OSError as error:
        raise ModelError(f"{file} cannot be unpacked: {one_line(error)}") from error
    except (zipfile.BadZipFile, struct.error, EOFError, LookupError, ValueError, RuntimeError) as error:
        reason = one_line(error)
        raise ModelError(
            f"{file} is damaged or no pack, so nothing was unpacked: {reason}. Get it again from its origin."
        ) from error


def _checked_members(archive: zipfile.ZipFile, file: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name; raise ValueError if one has an unknown name, is a link, or is too large."""
    members = archive.infolist()
    names = [member.filename for member in members]
    unknown = [name for name in names if name not in _MEMBERS and not _PLUGIN_FILE.fullmatch(name)]
    if unknown:
        raise ValueError(f"it has the member {unknown[0][:80]!r}, which no pack has")
    if len(set(names)) < len(names) or not {_CHECKSUMS, _MODEL} <= set(names):
        raise ValueError(f"expected one {_CHECKSUMS} and one {_MODEL}")
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{member.filename} is a link or is compressed; a pack has plain members")
        if member.filename != _MODEL and member.file_size > _MAX_TEXT:
            raise ValueError(f"{member.filename} is too large ({member.file_size:,} bytes)")
    if sum(member.file_size for member in members) > file.stat().st_size:
        raise ValueError("its members are larger than the file")
    return dict(zip(names, members, strict=True))


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> str:
    """Copy a member to `target`, and return its SHA-256."""
    with archive.open(member) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file)
    return _digest(target)


def _expected_sums(text: str) -> dict[str, str]:
    lines = [re.fullmatch(r"([0-9a-f]{64})  (\S+)", line) for line in text.splitlines()]
    return {line[2]: line[1] for line in lines if line}


def _check_model(path: Path) -> None:
    """Raise ValueError if `path` is not a `.keras` file, is damaged, or expands too much."""
    with zipfile.ZipFile(path) as archive:
        names = {member.filename for member in archive.infolist()}
        size = sum(member.file_size for member in archive.infolist())
        is_small = size <= path.stat().st_size + _MAX_GROWTH
        if is_small and (damaged := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {damaged} in {_MODEL} is wrong")
    if not {"config.json", "metadata.json"} <= names:
        raise ValueError(f"{_MODEL} is not a file that Keras saved")
    if not is_small:
        raise ValueError(f"{_MODEL} has {size:,} bytes of content, far more than its size")


def _facts(path: Path) -> ModelInfo:
    """Return the facts in a model file; raise ValueError if they are invalid.

    The message does not name `path`, which is temporary.
    """
    try:
        return read_info(path)
    except ModelError as error:
        raise ValueError(f"{_MODEL} is not a file that zoo or Keras saved: {error.__cause__}") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
