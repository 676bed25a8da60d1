"""Whole networks trained on crops: a backbone fine-tuned with its head, and a small 3D network."""
