"""The whole system on one machine: an AWS emulator that enforces IAM, and a node that plays kubelet and driver."""
