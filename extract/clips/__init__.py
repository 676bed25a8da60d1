"""A clip becomes twelve face crops: decode the frames, find faces, follow one person, cut the face out."""
