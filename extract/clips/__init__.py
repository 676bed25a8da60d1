"""A clip becomes twelve face crops: decode the frames, find faces, follow one of them, cut it out."""
