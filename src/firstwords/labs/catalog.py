"""All labs, in order. Light to import: nothing here computes."""

from firstwords.labs.lab import Lab

LABS: tuple[Lab, ...] = ()
