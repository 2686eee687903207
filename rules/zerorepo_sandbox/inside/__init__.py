"""What runs inside a world. Standard library and pytest only: it is copied there without the rest of ZeroRepo."""
