"""Measurements of tillroll beside what people write by hand; run `make bench`. Nothing here is a test."""
