"""The trained detector in use: crops and network of training, behind a command line, a stream, a page and exports.

`life` brings a run, or an export, to life as a `detector`: what its `judges` say of rows of crops. `clips` is the
command on files (`sources` in, `written` and `sheet` out, `explain` for evidence), `stream` the one on what is `live`,
by a `ring` of twelve frames; `web` is the page. `export` writes a `contract` and networks, which `portable` runs
without TensorFlow.
"""
