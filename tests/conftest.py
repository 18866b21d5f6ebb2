"""What every suite shares: explained assertions in tests/support, and the one stack."""

import pytest

# Before anything imports them, so that a failing assertion there shows its values.
pytest.register_assert_rewrite("tests.support")

pytest_plugins = ["tests.support.stack"]
