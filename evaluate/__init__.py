"""Evaluation: predictions -> named values with confidence intervals -> figures and one report.

`metrics` is pure functions over arrays and imports nothing of ours; `results` reads a finished run folder; `figures`
draws; `page` is the HTML; `report` is the stage. Run as `python -m evaluate`.
"""
