"""What is minimized and how: names become objects."""
