"""Sample images: `python sample.py snapshot=PATH [setting=value ...]`. The same as `python -m stylegen sample`."""

import sys

from stylegen.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sample", *sys.argv[1:]]))
