"""Evaluation: predictions -> named values with confidence intervals -> figures and pages. Run as `python -m evaluate`.

`stats` has pure functions over arrays. `results` reads a finished run and measures it. `page` has figures, tables and
HTML for the pages of `report` (one run), `compare` (several runs), `protocols` (one head by each split), `sweep_page`
(the trials of a sweep) and `published` (the notebook's recipe beside ours).
"""
