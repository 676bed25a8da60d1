"""What pages are made of: figures, HTML and tables."""
