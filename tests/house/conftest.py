"""What is here for other tests to check, and is never run."""

collect_ignore = ["typed_user.py"]
