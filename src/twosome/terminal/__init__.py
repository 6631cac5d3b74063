"""What commands share at the terminal: arguments, progress, tables, signs of life."""
