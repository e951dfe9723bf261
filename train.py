"""Train a StyleGAN: `python train.py [setting=value ...]`. The same as `python -m stylegen train`."""

import sys

from stylegen.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
