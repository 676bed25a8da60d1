"""The report of one run: the stage, its tables and sections, the model card, and the caveats to read first."""
