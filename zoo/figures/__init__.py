"""The pictures of a trial: learning curves, confusion matrix, mistakes.

Drawn by the supervisor from a trial's record, never by the process that trains. Nothing here touches
pyplot or leaves a figure behind; matplotlib is imported when the first picture is drawn.
"""

from __future__ import annotations

from zoo.figures._confusion import confusion_counts, confusion_matrix
from zoo.figures._curves import learning_curves
from zoo.figures._mistakes import mistakes, pick_mistakes
from zoo.figures._trial import draw_trial

__all__ = [
    "draw_trial",
    "learning_curves",
    "confusion_matrix",
    "mistakes",
    "confusion_counts",
    "pick_mistakes",
]
