"""Stage 1: videos -> twelve face crops -> features of a frozen backbone -> store. Run as `python -m extract`.

`readers` find the videos of a data set, `clips` cut twelve face crops out of each, `backbones` turn these into
features. `steps` joins the three; `one_process` writes what comes out as shards, `many_processes` spreads that over a
cluster.
"""
