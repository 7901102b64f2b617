"""The X-ray: attention, predictions and residual stream of a model on a text."""
