"""Start or resume a run, and work through its phases."""
