"""From frames to twelve face crops: find faces, follow one person, cut the face out."""
