"""Fixtures shared by all tests: the plugins that tillroll ships for its own adapters and for others'."""

import pytest

pytest.register_assert_rewrite("tillroll.testing")
pytest_plugins = ["tillroll.testing.postgres", "tillroll.testing.kafka"]
