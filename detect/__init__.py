"""The trained detector in use: crops and network as in training, behind a command line, a stream, a page and exports.

`detector` loads a run or an export and says what it thinks of a clip. `clips` judges files, `stream` what is live,
`web` is the page, `export` writes the detector for other programs.
"""
