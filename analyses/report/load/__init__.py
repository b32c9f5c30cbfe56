"""Reading of a results folder for the page: every file typed and checked."""
