"""What libraries call things, and what each name means over numbers, symbols and rows."""
