"""The command line of Lockstep, and what it drives. Nothing imports this package but the embedded stack."""
