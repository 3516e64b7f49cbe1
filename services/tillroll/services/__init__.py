"""What runs for long: admission, projectors, and the histories that are imported."""
