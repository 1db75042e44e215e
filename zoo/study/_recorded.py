"""The study file in the record of a study: `mlruns/zoo/STUDY/study.toml`.

It is the text that ran, below a checksum. Its last lines, `# --set training.epochs=3`, are the overrides; the
plugin files are not where the text says, but copied into `plugins/VERSION/` beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.checksums import parse_text
from zoo.errors import StudyError

IN_MEMORY_NOTE = "# dataset: in memory, passed in Python in place of the file's"
_SET = "# --set "


def is_record(folder: Path) -> bool:
    """Return True if `folder` is the directory of a recorded study."""
    return folder.absolute().parts[-3:-1] == ("mlruns", "zoo")


def is_recorded(path: Path) -> bool:
    """Return True if `path` is the study file of a recorded study."""
    return path.name == "study.toml" and is_record(path.parent)


def read_recorded(path: Path) -> tuple[str, list[str]]:
    """Return the text of a recorded study file and its overrides; raise StudyError if it is damaged."""
    try:
        text = parse_text(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{path} cannot be read: {error}; name the study file that it was copied from"
        ) from None
    return split_settings(text)


def split_settings(text: str) -> tuple[str, list[str]]:
    """Return the text that ran, and its overrides, from the text of a recorded study file."""
    lines = text.split("\n")
    end = len(lines)
    while end and lines[end - 1].startswith((_SET, IN_MEMORY_NOTE)):
        end -= 1
    overrides = [line.removeprefix(_SET) for line in lines[end:] if line.startswith(_SET)]
    return "\n".join(lines[:end]), overrides


def with_settings(text: str, overrides: Sequence[str], is_replaced: bool) -> str:
    """Return the text to record: that of the study file, and notes about what was set besides it."""
    notes = [IN_MEMORY_NOTE] if is_replaced else []
    return "\n".join([text, *notes, *(f"{_SET}{override}" for override in overrides)])


def kept_copy(path: str, folder: Path) -> Path | None:
    """Return the newest copy of a plugin file in the directory of a recorded study; None if it has none."""
    copies = [copy for copy in (folder / "plugins").glob("*/*.py") if copy.name == Path(path).name]
    return max(copies, key=lambda copy: copy.stat().st_mtime_ns, default=None)
