"""Lab 9: train on the exam, and see why the score is worthless."""

import random
import re
from collections.abc import Iterator

from firstwords.data.starter import exam
from firstwords.labs.folder import Folder, within
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong

FILE = "overlap.py"
WORDS = 6
