"""What a file says of its own making. Nothing of it is checked, and no score rests on it."""
