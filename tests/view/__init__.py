"""Tests of the page with hands."""
