"""Evaluation: predictions -> named values with confidence intervals -> figures and one report.

`metrics` is pure functions over arrays and imports nothing of ours; `results` reads a finished run folder; `figures`
draws; `sections` and `markup` make the page; `report` is the stage. Run as `python -m evaluate`.
"""
