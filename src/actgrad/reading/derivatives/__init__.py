"""Derivatives that come with a function: custom gradients, and rules that are given or claimed."""
