"""Writes the wheels: wheels.py VERSION FOLDER OUT, with the program, README.md and the licences in FOLDER.

pip takes the wheel with the program on Linux, and elsewhere the other one, which says why there is none.
The same input gives the same bytes."""

import base64
import hashlib
import pathlib
import sys
import zipfile

# The program is static: any libc will do.
LINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"
LICENSES = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-LICENSES"]


def write(out, version, platform, content, folder):
    """Writes a wheel with `content`: a list of (path, bytes, mode)."""
    info = f"smtp2go_sandbox-{version}.dist-info"
    licenses = "".join(f"License-File: {name}\n" for name in LICENSES)
    metadata = (
        "Metadata-Version: 2.1\n"
        "Name: smtp2go-sandbox\n"
        f"Version: {version}\n"
        "Summary: A local SMTP2GO for tests: an HTTP server that checks requests and keeps the mail\n"
        "License: MIT OR Apache-2.0\n"
        f"{licenses}"
        "Description-Content-Type: text/markdown\n"
        "\n" + (folder / "README.md").read_text()
    )
    tags = "".join(f"Tag: py3-none-{tag}\n" for tag in platform.split("."))
    wheel = f"Wheel-Version: 1.0\nGenerator: smtp2go-sandbox\nRoot-Is-Purelib: {str(platform == 'any').lower()}\n{tags}"
    files = content + [(f"{info}/{name}", (folder / name).read_bytes(), 0o644) for name in LICENSES]
    files += [(f"{info}/METADATA", metadata.encode(), 0o644), (f"{info}/WHEEL", wheel.encode(), 0o644)]
    record = f"{info}/RECORD"
    lines = [f"{path},{digest(data)},{len(data)}\n" for path, data, _ in files]
    files.append((record, "".join([*lines, f"{record},,\n"]).encode(), 0o644))
    with zipfile.ZipFile(out / f"smtp2go_sandbox-{version}-py3-none-{platform}.whl", "w") as archive:
        for path, data, mode in files:
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)


def digest(data):
    hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + hashed.decode().rstrip("=")


def main():
    version, folder, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    here = pathlib.Path(__file__).parent
    scripts = f"smtp2go_sandbox-{version}.data/scripts"
    program = (folder / "smtp2go-sandbox").read_bytes()
    write(out, version, LINUX, [(f"{scripts}/smtp2go-sandbox", program, 0o755)], folder)
    module = (here / "smtp2go_sandbox.py").read_bytes()
    entry = b"[console_scripts]\nsmtp2go-sandbox = smtp2go_sandbox:main\n"
    info = f"smtp2go_sandbox-{version}.dist-info"
    elsewhere = [("smtp2go_sandbox.py", module, 0o644), (f"{info}/entry_points.txt", entry, 0o644)]
    write(out, version, "any", elsewhere, folder)


main()
