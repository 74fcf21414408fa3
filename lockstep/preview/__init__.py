"""What a deployment would do: run by the Pulumi CLI, by the embedded engine, or read from a saved document."""
