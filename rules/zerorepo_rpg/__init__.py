"""See register.py."""
