"""Decision servers as untrained policies: a question asked over HTTP, an answer checked, kept and normalised."""

from twosome.remote.policy import RemotePolicy, server_policy
from twosome.remote.settings import ServerSettings

__all__ = ["RemotePolicy", "ServerSettings", "server_policy"]
