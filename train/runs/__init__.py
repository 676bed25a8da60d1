"""The run folder: its files, one writer and one reader, a network brought back from it, and several runs as one."""
