"""Deployment in integers: the exact table of an activation, and what is written from it."""
