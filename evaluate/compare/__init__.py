"""Runs beside each other on the same test clips: tests, sentences, tables and a page."""
