"""What holds on every stack, ours or not, as a Pulumi policy pack: secrets by name, exact trust, private API, IMDSv2.

`pulumi preview --policy-pack components/policy_pack` starts `__main__`. A pack of one's own takes the policies from
`pack.policies()`. Rules (`rules`) are plain data and pure functions over resources: statements and trust are read and
judged by the derivation, as in an access diff. Only `pack` and `__main__` know pulumi_policy.
"""
