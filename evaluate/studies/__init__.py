"""Studies that train in order to evaluate: one head by each split and on other data sets, and the published recipe."""
