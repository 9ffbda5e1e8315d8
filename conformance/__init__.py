"""make conformance: charges of every provider before the official FOCUS validator (focus-validator)."""
