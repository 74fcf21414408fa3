"""What platform teams import: Pulumi components, each in a module of its own, and the pure derivation below them.

This module is prose only, so that importing the derivation never loads Pulumi. Components take plain typed values and
finished documents; no policy is written in one. Settings are read in `settings`, nowhere else.
"""
