"""Runs one of Flower's own commands with everything off that would send something to Flower's makers.

    ort-tl-flower superlink --insecure
    ort-tl-flower supernode --insecure --superlink 127.0.0.1:8000 --node-config "..."
    ort-tl-flower flwr run . my-superlink --stream

Flower reads these variables when its modules are imported, which an app comes too late for: hence a command.
"""

import os
import sys

QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
COMMANDS = {"superlink": "flower-superlink", "supernode": "flower-supernode", "flwr": "flwr"}


def main() -> None:
    """Becomes the command that the first argument names. Exits 2 when there is no such command."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"usage: ort-tl-flower {'|'.join(COMMANDS)} [what that command takes]", file=sys.stderr)
        sys.exit(2)
    os.environ.update(QUIET)
    # Flower starts further commands of its own by their names: those beside this interpreter come first.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    # Without this, a SuperLink fetches what an app depends on from PyPI for each run.
    extra = ["--disable-runtime-dependency-installation"] if name == "superlink" else []
    os.execvp(COMMANDS[name], [COMMANDS[name], *extra, *sys.argv[2:]])


if __name__ == "__main__":
    main()
