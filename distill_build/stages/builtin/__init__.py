"""The stages of ours: one module each, named as its file in conf/stage/, with one class called `Builtin`."""
