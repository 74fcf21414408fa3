"""`lockstep refresh`: bring a new value into running pods now.

What forces it: a change of a pod makes kubelet publish its volumes again at once; the driver hands that to the provider
when its own interval has passed; and the provider takes a republish that comes sooner than kubelet's own rhythm for one
that was asked for, and answers with values of at most `--first-mount-max-age`. So one ring is not enough: the first may
look like kubelet's own, and the second may come while the last read is still young enough.
"""
