"""make fuzz: bytes at every reader, mapping and contract, led by which code they reach."""

TARGETS = ("reader", "mapping", "bill", "contract")
