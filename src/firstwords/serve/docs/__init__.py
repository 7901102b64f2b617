"""The documentation at /docs/: the Markdown files of the repository as pages with the app's bar."""
