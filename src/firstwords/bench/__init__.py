"""The performance figures of this machine: ratios between contenders in one run."""
