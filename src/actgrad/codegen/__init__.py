"""Program to text: what a framework lacks is rewritten once, then one flat function is printed."""
