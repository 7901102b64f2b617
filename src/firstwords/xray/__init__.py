"""X-ray: one text through the real model, with everything that happens on the way to be seen.

`record` watches the model, `look` makes one plain document of it, and the terminal, the HTML file
and the web page at /xray show that document.
"""
