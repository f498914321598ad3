"""The walk with nobody to ask, and what its requests would cost: before a build, and instead of one."""
