"""Everything that defines a run: settings, their notation, presets, and which words a model is met in."""
