"""One training step of the real model, watched through hooks and explained."""
