"""Kalshi Gateway: the service between your apps and the exchange."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("kalshi-gateway")
except PackageNotFoundError:  # a checkout on the path, not an installed wheel
    __version__ = "0.1.0"
