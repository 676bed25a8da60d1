"""One reader for each way a data set lies on disk; `layouts` picks one, `dataset` is what they all return."""
