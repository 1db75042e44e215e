"""Figures of trials, studies and datasets, and of the feature maps of networks.

They are drawn from arrays and records, never by the process that trains. matplotlib is imported when the
first figure is drawn; pyplot is not used, and no figure stays in memory. Each function creates the folder of
its PNG file and returns the file's path; it raises ZooError if the file cannot be written.

In all functions, an image is a `uint8` array `(height, width, channels)`. Images are an array or a memory map
`(n, height, width, channels)`, from which only the drawn images are read. `labels` and `predicted` are
integers `(n,)`; `probabilities` have shape `(n, classes)`.

    for every complete trial   draw_trial: learning_curves, confusion_matrix, mistakes, predictions
    for a study                study_history, importances, compared_curves; trade_offs, if it has several
                               objectives
    on demand                  data_page, samples, augmentation, kernels; compared_curves; feature_maps,
                               layer_maps, filters
"""

from __future__ import annotations

from zoo.figures._confusion import confusion_matrix
from zoo.figures._curves import MAX_COMPARED, Curve, compared_curves, learning_curves
from zoo.figures._data import MAX_FINDINGS, Finding, data_page
from zoo.figures._datasets import NUM_IMAGES, NUM_VERSIONS, augmentation, kernels, samples
from zoo.figures._maps import MAPS_PER_LAYER, MAX_MAPS, LayerMaps, feature_maps, filters, layer_maps
from zoo.figures._page import preload
from zoo.figures._pixels import make_tile
from zoo.figures._predictions import mistakes, predictions
from zoo.figures._study import importances, study_history
from zoo.figures._trade_offs import trade_offs
from zoo.figures._trial import curve_of, draw_curves, draw_trial
