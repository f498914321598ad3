"""Versions as they are kept and named, and which items differ between two (`difference`, for `diff`). Knows no stages:
what takes them, such as `verify`, `checkout` and the causes of a difference, lies in `history`.
"""
