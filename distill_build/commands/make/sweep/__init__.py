"""The commands that take `-m`: of several jobs at once, in this process or in those of a launcher."""
