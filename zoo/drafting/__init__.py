"""Drafts of studies: `zoo.init` reads the user's data, and writes a study file that runs without changes.

_draft.py                                     zoo.init, and the names of study files
_sources.py, _listings.py                     the dataset plugin that reads a path
_reading.py                                   preparing the data, with parameters found from its content
_facts.py, _image_files.py, _name_groups.py   facts about the data
_choices.py, _flips.py, _sizes.py             the network, augmentation and budget that fit these facts
_document.py                                  the text of the study file
"""

from __future__ import annotations

from zoo.drafting._draft import StudyFile, drafted_study, init, is_data

__all__ = ["StudyFile", "drafted_study", "init", "is_data"]
