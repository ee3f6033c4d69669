"""From a problem and a method to a solution, its files and comparisons."""
