"""From elsewhere and for other programs: files up to a size, values of a type, cells without formulas."""
