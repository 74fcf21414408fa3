"""What a fleet's mounts cost in AWS calls and how far they are from AWS's quotas: this provider beside AWS's own.

`model` is the arithmetic, `prices` the data, `fleets` reads loads from specs, `report` prints. No call to AWS is made.
"""
