"""The road of bills: deliveries of a provider's export -> charges, settled month by month."""
