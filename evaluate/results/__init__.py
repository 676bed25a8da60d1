"""A finished run and how good its predictions are: measures with intervals, and where it fails."""
