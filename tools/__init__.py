"""What is run beside the library: the makers of pages. Nothing here is in the wheel."""
