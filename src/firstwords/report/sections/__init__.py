"""The sections of the report. Each function returns a section's Markdown, or "" to leave it out."""
