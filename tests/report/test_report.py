"""The report of a real run: sections, plots, samples, and escaping of model output."""

import base64
import csv
import hashlib
import json
