"""The `tillroll` command."""
