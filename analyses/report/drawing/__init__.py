"""Drawing of the page: SVG figures and table cells."""
