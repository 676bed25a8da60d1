"""A finished run and what its predictions say: measures with intervals, and where it fails."""
