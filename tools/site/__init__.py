"""What mkdocs is helped with, to make a site from pages that are read on their own, too."""
