"""Stage 1: videos -> twelve face crops -> features of a frozen backbone -> store. Run as `python -m extract`.

`readers` list the videos of a data set, `clips` cuts twelve face crops out of each, `backbones` computes features of
these. `steps` joins the three, `unit` writes the results as shards, `cluster` spreads that over a cluster. `pipeline`
is the stage as a whole; `drawn` draws the demo's clips.
"""
