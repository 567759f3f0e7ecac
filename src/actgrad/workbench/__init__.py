"""The command `actgrad`."""
