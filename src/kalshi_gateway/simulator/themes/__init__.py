"""What the simulated exchange asks about: one module per corner of the world."""

from . import climate, crypto, culture, economy, politics, sports
from .family import Family


def families() -> list[Family]:
    """Every series the generator can draw events of."""
    return [
        *sports.families(),
        *climate.families(),
        *crypto.families(),
        *economy.families(),
        *politics.families(),
        *culture.families(),
    ]
