"""The sections of the page: each turns what was read into tables, figures and sentences."""
