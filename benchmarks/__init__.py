"""Speed and quality, measured; every code has one thread, unless OMP_NUM_THREADS says otherwise."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before BLAS and torch start theirs
