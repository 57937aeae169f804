"""Who writes when nobody shows a token: whoever sits at the command line."""

import getpass

from kalshi_gateway.audit.entry import Author


def author() -> Author:
    """The system's user, as the audit log names him."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        name = "somebody"
    return Author(f"{name} (command line)")
