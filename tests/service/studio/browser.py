"""The Chromium that the studio is tested in: the machine's own, else Playwright's build, else Debian's package.

`make test` runs `python -m tests.service.studio.browser` once, which gets one where there is none and it can. Without any the
tests are skipped, and say so.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ON_A_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def own_browser() -> str | None:
    """The machine's Chromium or Chrome."""
    return next(filter(None, map(shutil.which, [*NAMES, ON_A_MAC])), None)


def main() -> int:
    """Get a browser where there is none; failing to is no failure."""
    if own_browser():
        return 0
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    ways = [[sys.executable, "-m", "playwright", "install", "--only-shell", *(["--with-deps"] if root else []), "chromium"]]
    if root and shutil.which("apt-get"):
        ways += [["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]]
    for way in ways:
        sys.stdout.write(f"The studio's tests need a browser: {' '.join(way)}\n")
        sys.stdout.flush()
        if subprocess.run(way, stdout=subprocess.DEVNULL).returncode == 0:
            return 0
    sys.stdout.write("There is no Chromium, and none could be installed: the studio's tests in a browser will be skipped.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
