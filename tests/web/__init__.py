"""The interface on the wire, as strangers find it: the real application over a bench of paper."""
