"""One reader for each layout of a data set. `layouts` picks the reader; `dataset` is what all of them return."""
