"""From a time budget to a recipe, with estimates of time, memory and loss."""
