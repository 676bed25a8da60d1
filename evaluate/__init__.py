"""Evaluation: predictions -> named values with confidence intervals -> figures and pages. Run as `python -m evaluate`.

`stats` is pure functions over arrays. `results` reads a finished run and measures it. `page` draws figures and HTML, of
which `report` (one run), `compare` (runs beside each other), `protocols` (one head by each split), `sweep_page` (the
trials of a sweep) and `published` (the notebook's recipe beside ours) make their pages.
"""
