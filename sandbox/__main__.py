import argparse
import socket
import sys
from pathlib import Path

import uvicorn

from sandbox.app import create_app

# Longer than clients keep theirs (5 s in httpx), so that none sends on a connection just closed.
KEEP_ALIVE_SECONDS = 75


def main() -> None:
    """Serve the sandbox until interrupted; the first line printed is its address."""
    parser = argparse.ArgumentParser(prog="sandbox", description="Payment providers, at home")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, default=Path(".paysaga/sandbox"))
    parser.add_argument("--time-scale", type=float, default=1.0, help="60: a minute in a second")
    parser.add_argument(
        "--production-port", type=int, default=0, help="the App Store's production host"
    )
    args = parser.parse_args()
    listeners = [
        socket.create_server((args.host, port), backlog=1024)
        for port in (args.port, args.production_port)
    ]
    base_url, production_url = (
        f"http://{args.host}:{listener.getsockname()[1]}" for listener in listeners
    )
    app = create_app(args.data, base_url, production_url=production_url, time_scale=args.time_scale)
    sys.stdout.write(f"sandbox ready at {base_url}, manifest {args.data / 'sandbox.json'}\n")
    sys.stdout.flush()
    # A scripted lost answer ends in an exception by design; uvicorn would print each of them. Its
    # parser in C writes every header's name in lower case, which the providers do not.
    config = uvicorn.Config(
        app,
        http="h11",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    uvicorn.Server(config).run(listeners)


if __name__ == "__main__":
    main()
