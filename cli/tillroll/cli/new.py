"""`tillroll new`."""

import click


@click.group()
def new() -> None:
    """Start something of your own."""
