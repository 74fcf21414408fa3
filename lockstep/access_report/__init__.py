"""An access diff for people and programs: text, Markdown, JSON, SARIF; what was approved; what its exit code is.

Not done here: finding the differences (components.derivation.diff). Nothing here prints a value of a secret: rows hold
names, and free texts go through `redaction`.
"""
