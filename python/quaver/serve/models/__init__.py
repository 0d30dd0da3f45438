"""Models and their versions: found in a folder, loaded off the request path, exchanged."""
