"""Files of results: one module a format, each with read and write."""
