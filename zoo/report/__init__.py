"""The report of a study: one HTML page that needs no network and no other file.

A report is made only by reading: the local record, Optuna's storage and the prepared dataset. No model is
trained or called: predictions and scores are the recorded ones.

    _record.py        the record of a study
    _plots.py         the figures of a model
    _search_plots.py  the figures of the search, most of them Optuna's
    _images.py        images as part of the page
    _result.py, _trials.py, _sources.py   the content of the sections
    _summary.py       the result of a study in a notebook
    _page.py          the page, from page.html.jinja and page.css
"""

from __future__ import annotations

from zoo.report._page import write_report
from zoo.report._summary import Report, plot_importances, summary_html
