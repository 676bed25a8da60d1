"""Frozen networks that turn crops into features, and the engines that run them."""
