"""The surroundings in which a function is read: what it can reach, copied, stood in for, or refused."""
