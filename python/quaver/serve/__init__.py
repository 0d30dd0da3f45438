"""Serving models over the open inference protocol; needs ``pip install quaver[serve]``.

From the bottom up: `protocol` turns bytes into requests and back and knows no transport; `models`
loads versions from a folder and exchanges them; `batching` decides what runs when; `inference` runs
requests; `service` is what else can be asked of the server; `http` and `grpc` carry it.
"""
