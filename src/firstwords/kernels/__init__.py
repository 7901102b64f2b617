"""C++ for the CPU: compile it, cache it, call it."""
