"""One run's report: the stage, its sections, the model card and what a reader has to know first."""
