"""The baseline of noop.py: the smallest Hydra application."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=None)
def main(_: DictConfig) -> None:
    """Does nothing."""


if __name__ == "__main__":
    main()
