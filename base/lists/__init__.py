"""Lists that people write or edit: text in the codings, and tables with the separators, that their programs save."""
