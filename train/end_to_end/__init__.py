"""Whole networks trained on crops: fine-tuning a backbone with its head, and a small 3D network."""
