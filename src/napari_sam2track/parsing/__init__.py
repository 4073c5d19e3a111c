"""Common ground of all readers: one guard round parsers, bounds, tables as text, JSON."""
