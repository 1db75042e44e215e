"""Figures: of a trial, of compared trials, of a study, of a dataset, and of the maps inside a network.

They are drawn from arrays and records, never by the process that trains. matplotlib is imported when the
first figure is drawn; pyplot is not used, and no figure stays in memory. Each function creates the folder of
its PNG file and returns the file's path.

    for every complete trial   draw_trial: learning_curves or fold_curves, confusion_matrix, mistakes,
                               predictions
    for a study                trade_offs, if it has several objectives
    on demand                  samples, augmentation, kernels; compared_curves; feature_maps, layer_maps,
                               filters
"""

from __future__ import annotations

from zoo.figures._augmentation import IMAGES as AUGMENTED_IMAGES
from zoo.figures._augmentation import VERSIONS as AUGMENTED_VERSIONS
from zoo.figures._augmentation import augmentation
from zoo.figures._compared import AT_MOST as COMPARED_AT_MOST
from zoo.figures._compared import Curve, compared_curves
from zoo.figures._confusion import confusion_counts, confusion_matrix
from zoo.figures._curves import learning_curves
from zoo.figures._fold_curves import fold_curves
from zoo.figures._kernels import kernels
from zoo.figures._maps import AT_MOST_MAPS, MAPS_OF_EACH, LayerMaps, feature_maps, filters, layer_maps
from zoo.figures._mistakes import mistakes, pick_mistakes
from zoo.figures._predictions import pick_predictions, predictions
from zoo.figures._samples import pick_samples, samples
from zoo.figures._trade_offs import trade_offs
from zoo.figures._trial import draw_curves, draw_trial

__all__ = [
    "draw_trial",
    "draw_curves",
    "learning_curves",
    "fold_curves",
    "compared_curves",
    "Curve",
    "COMPARED_AT_MOST",
    "confusion_matrix",
    "mistakes",
    "predictions",
    "trade_offs",
    "confusion_counts",
    "pick_mistakes",
    "pick_predictions",
    "samples",
    "pick_samples",
    "augmentation",
    "AUGMENTED_VERSIONS",
    "AUGMENTED_IMAGES",
    "kernels",
    "feature_maps",
    "layer_maps",
    "filters",
    "LayerMaps",
    "AT_MOST_MAPS",
    "MAPS_OF_EACH",
]
