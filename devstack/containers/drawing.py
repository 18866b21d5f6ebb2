"""The secrets of an installation, by the names that docker-compose.yml gives them."""

from collections.abc import Callable, Mapping

from services.keyring.tokens import SERVICES

Draw = Callable[[int], str]


def draw(token_hex: Draw) -> Mapping[str, str]:
    """`token_hex(n)` gives n random bytes as hexadecimal digits."""
    tokens = {token_variable(service): token_hex(32) for service in sorted(SERVICES)}
    return {
        "LOG_ID": token_hex(16),
        "COMMAND_KEY": token_hex(32),
        "SESSION_KEY": token_hex(32),
        "POSTGRES_PASSWORD": token_hex(16),
        "S3_SECRET": token_hex(16),
        **tokens,
    }


def token_variable(service: str) -> str:
    """The variable that holds the token with which a service calls the keyring."""
    return f"TOKEN_{service.upper()}"
