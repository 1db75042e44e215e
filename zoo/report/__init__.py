"""The report of a study: one HTML page that needs neither a network nor any other file.

It only reads: the local record, Optuna's storage and the prepared dataset. Nothing is trained and no model
is called; predictions and scores are the recorded ones.

    _record.py        the record of a study
    _plots.py         the figures of a model
    _search_plots.py  the figures of the search, most of them Optuna's
    _images.py        images inside the page
    _result.py, _trials.py, _sources.py   the content of the sections
    _summary.py       the result of a study in a notebook
    _page.py          the page, from page.html.jinja and page.css
"""

from __future__ import annotations

from zoo.report._page import write_report
from zoo.report._summary import Report, plot_importances, summary_html
