"""What heads learn from: the features of a store, their split into train, val and test, and the baseline."""
