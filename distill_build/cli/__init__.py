from distill_build.cli.dispatch import main as main
