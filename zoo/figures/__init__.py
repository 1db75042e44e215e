"""The pictures of a trial: learning curves, confusion matrix, mistakes; of a study, its trade-offs.

Drawn by the supervisor from the trials' records, never by the process that trains. Nothing here touches
pyplot or leaves a figure behind; matplotlib is imported when the first picture is drawn.
"""

from __future__ import annotations

from zoo.figures._confusion import confusion_counts, confusion_matrix
from zoo.figures._curves import learning_curves
from zoo.figures._fold_curves import fold_curves
from zoo.figures._front import trade_offs
from zoo.figures._mistakes import mistakes, pick_mistakes
from zoo.figures._trial import draw_trial

__all__ = [
    "draw_trial",
    "learning_curves",
    "fold_curves",
    "confusion_matrix",
    "mistakes",
    "trade_offs",
    "confusion_counts",
    "pick_mistakes",
]
