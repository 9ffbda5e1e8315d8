"""Landed dates read again with today's contracts and code: listed first, published when asked."""
