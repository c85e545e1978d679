"""What the end-to-end tests stand on: a running edge, a scripted origin, a client that sends exact bytes.

Nothing here uses an HTTP library: a library repairs, hides or refuses just what these tests are about.
"""
