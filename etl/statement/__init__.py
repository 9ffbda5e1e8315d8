"""The statement of a usage date: as data, as text, as a page."""
