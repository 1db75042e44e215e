"""The report of a study: one HTML page that needs neither a network nor any other file.

Its sources are the local record, Optuna's storage and the prepared dataset; they are only read. It
trains nothing and calls no model: predictions and scores are the recorded ones.

    _record.py      what was recorded about a study
    _statistics.py  what pruning saved
    _plots.py       figures of a model; _search_plots.py: of the search, most of them Optuna's
    _images.py      images inside the page
    _result.py, _trials.py, _sources.py   the content of the sections
    _summary.py     what a notebook shows
    _page.py        the page, from page.html.jinja and page.css
"""

from __future__ import annotations

from zoo.report._page import write_report
from zoo.report._summary import Report, plot_importances, summary_html
