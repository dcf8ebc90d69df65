"""What `smtp2go-sandbox` is where its wheel with the program cannot be installed."""

import sys
import sysconfig


def main():
    sys.exit(
        f"smtp2go-sandbox: no binary for {sysconfig.get_platform()} on PyPI, only for linux-x86_64: "
        "use Docker, or `cargo install smtp2go-sandbox`"
    )
