"""The open inference protocol, version 2, without a transport."""
