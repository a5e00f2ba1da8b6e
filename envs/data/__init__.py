"""Question sets: files, upstream formats, downloads."""
