"""Figures that a user requests: of a dataset, an augmentation policy, a trial, or a trained network.

Most functions write one PNG file and return it as a `Figure`, which a notebook displays; `layers` and
`duplicates` return tables. The command `zoo inspect` draws the same figures. Functions that need Keras use it
in a worker process. Every function raises ZooError if a name is unknown, a value is invalid, or the file
cannot be written.

    _data.py       data, duplicates
    _datasets.py   samples, kernels, augmentation
    _trials.py     curves, confusion, mistakes, predictions, features, filters, layers
    _network.py    the functions that run on a model in the worker process
"""

from __future__ import annotations

from zoo.inspection._data import DataReport, data, duplicates
from zoo.inspection._datasets import augmentation, kernels, samples
from zoo.inspection._figure import Figure
from zoo.inspection._network import Layer, LayerTable
from zoo.inspection._trials import confusion, curves, features, filters, layers, mistakes, predictions

__all__ = [
    "DataReport",
    "Layer",
    "LayerTable",
    "Figure",
    "augmentation",
    "confusion",
    "curves",
    "data",
    "duplicates",
    "features",
    "filters",
    "kernels",
    "layers",
    "mistakes",
    "predictions",
    "samples",
]
