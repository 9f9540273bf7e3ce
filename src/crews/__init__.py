"""The crews, and the process that runs them."""
