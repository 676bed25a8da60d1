"""What a head learns from: the features of a store, who trains and who tests, and the baseline on the same clips."""
