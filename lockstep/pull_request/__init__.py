"""Puts reports on a pull request: one comment per stack that is kept up to date, and a label while approval is needed.

Runs in a job of its own that has the right to comment and nothing of the pull request but its reports, which are data.
"""
