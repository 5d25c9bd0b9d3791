"""A stream that claims to be a terminal."""

import io


class Terminal(io.StringIO):
    """Text that is typed or shown on a terminal."""

    def isatty(self):
        return True
