"""The Chromium for the studio's tests: the installed one, otherwise Playwright's build, otherwise Debian's package.

`make test` runs `python -m tests.service.studio.browser` once, which installs a Chromium if none is found. If that fails, the
tests are skipped with a message.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ON_A_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def own_browser() -> str | None:
    """Return the path of the installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, [*NAMES, ON_A_MAC])), None)


def main() -> int:
    """Install a browser if none is found. A failure is reported and ignored."""
    if own_browser():
        return 0
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    commands = [[sys.executable, "-m", "playwright", "install", "--only-shell", *(["--with-deps"] if root else []), "chromium"]]
    if root and shutil.which("apt-get"):
        commands += [["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]]
    for command in commands:
        sys.stdout.write(f"The studio's tests need a browser: {' '.join(command)}\n")
        sys.stdout.flush()
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0:
            return 0
    sys.stdout.write("No Chromium is found, and none could be installed. The browser tests of the studio will be skipped.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
