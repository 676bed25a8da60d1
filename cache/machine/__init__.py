"""What this process finds around it: processors and standard streams. Imports nothing else of this project."""
