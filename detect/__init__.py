"""The trained detector in use: on clips, on a stream, on a web page, and exported for other programs.

`detector` loads a run or an export and judges clips, by the same crops and networks as in training. `clips` is the
command that judges files, `stream` the one that watches a camera, `web` the page, `export` writes a detector for other
programs.
"""
