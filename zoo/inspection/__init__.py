"""Pictures on demand: of a dataset, an augmentation policy, a trial, and the network it trained.

Each function writes one PNG and returns it as a `Picture`, which a notebook shows. The command line
has the same as `zoo inspect`. What needs Keras runs in a process of its own.

    _datasets.py   samples, kernels, augmentation
    _trials.py     curves, confusion, mistakes, predictions, features, filters, layers
    _network.py    inside the process: what a model says of itself
"""

from __future__ import annotations

from zoo.inspection._datasets import augmentation, kernels, samples
from zoo.inspection._network import Layer, LayerTable
from zoo.inspection._picture import Picture
from zoo.inspection._trials import confusion, curves, features, filters, layers, mistakes, predictions

__all__ = [
    "samples",
    "augmentation",
    "kernels",
    "curves",
    "confusion",
    "mistakes",
    "predictions",
    "features",
    "filters",
    "layers",
    "Picture",
    "LayerTable",
    "Layer",
]
