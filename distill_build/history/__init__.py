"""What is told of a version, or made of it, by knowing its stages: where rows come from (`provenance`), why two
versions differ (`causes`, `attribution`, `history`), whether files are as their lock says and fit each other
(`verifying`, for `verify`), and a version's files made again (`restoring`, for `checkout`).

What takes no stage lies in `versions`: how versions are kept, named, and which items differ between two (`difference`,
for `diff`).
"""
