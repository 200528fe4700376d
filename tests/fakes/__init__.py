"""Fakes for end-to-end tests: a certificate authority, an origin that records exact octets, raw clients."""
