"""Will it train: first weights, repairs, and why a training fails while it does."""
