"""The run folder: how a trained head lies on disk, how it is read back, and how several are joined."""
