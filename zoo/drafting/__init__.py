"""Drafts of studies: `zoo.init` looks at the user's data and writes a study file that runs as it stands.

_sources.py, _listings.py   which dataset reads a path
_reading.py                 reading it, with parameters that follow from its content
_image_files.py, _facts.py  what was seen
_choices.py, _flips.py, _sizes.py   what fits: network, augmentation, budget
_document.py                the text of the study file
"""

from __future__ import annotations

from zoo.drafting._draft import StudyFile, drafted_study, init, is_data

__all__ = ["StudyFile", "drafted_study", "init", "is_data"]
