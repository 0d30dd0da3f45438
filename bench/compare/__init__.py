"""Quaver next to its peers, from scratch: ``make tables``, or ``python -m compare`` in bench/.

Builds the networks of `zoo`, quantizes them, runs every runtime in turn on the same cores, and
writes the tables (Markdown, JSON) and a roofline picture of each network.
"""
