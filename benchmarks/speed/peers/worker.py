"""The loop that a peer runs in: worker.py NAME, in the peers' environment.

Pickled messages on standard input and output. The first is the problem, a tuple of arrays, on which all set-up is
done once;
then each `(method, arguments)` is answered with `(result, CPU seconds, wall seconds)` of the method alone.
"""

import importlib
import os
import pickle
import sys
import time


def main() -> None:
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the messages

    def reply(answer) -> None:
        pickle.dump(answer, wire)
        wire.flush()

    try:
        problem = pickle.load(sys.stdin.buffer)
        peer = importlib.import_module(sys.argv[1]).Peer(problem)
        reply("ready")
        while True:
            method, arguments = pickle.load(sys.stdin.buffer)
            cpu, wall = time.process_time(), time.perf_counter()
            result = getattr(peer, method)(*arguments)
            seconds = time.process_time() - cpu, time.perf_counter() - wall
            reply((result, *seconds))
    except EOFError:
        return  # the driver is done
    except Exception as error:
        reply(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
