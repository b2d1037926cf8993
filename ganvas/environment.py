"""The settings of a client: URL and key of the service, proxy and certificates. They are checked before the first request.

Most of them come from environment variables, so an error names the variable.
"""

import os
import re
import ssl
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import httpx

from ganvas.errors import ConfigurationError
from ganvas.text import printable

DEFAULT_URL = "http://localhost:3000"
URL_VARIABLE = "GANVAS_URL"
KEY_VARIABLE = "GANVAS_API_KEY"
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


class Proxy(NamedTuple):
    """A proxy and the variable that names it."""

    proxy: httpx.Proxy
    variable: str

    def __str__(self) -> str:
        return f"{shown(str(self.proxy.url))} ({self.variable})"


def shown(url: str) -> str:
    """A URL for messages: without its password."""
    return printable(re.sub(r"//[^/@]*@", "//***@", url), 200)


def service_url(given: str | None) -> httpx.URL:
    """The URL of the service: the given one, or else the one of GANVAS_URL.

    Raises:
        ConfigurationError: it is not a URL of http or https with a host.
    """
    named = os.environ.get(URL_VARIABLE)
    setting, text = ("url", given) if given else (URL_VARIABLE, named or DEFAULT_URL)
    must = f"The URL of the service must be like {DEFAULT_URL}"
    url = _parsed(setting, text, must)
    if url.scheme not in ("http", "https"):
        raise ConfigurationError(setting, shown(text), must)
    return url


def api_key(given: str | None) -> str | None:
    """The API key: the given one, or else the one of GANVAS_API_KEY.

    Raises:
        ConfigurationError: it cannot stand in a header.
    """
    setting, key = ("api_key", given) if given else (KEY_VARIABLE, os.environ.get(KEY_VARIABLE))
    if key and not re.fullmatch(r"[!-~]+", key):
        raise ConfigurationError(
            setting, "not shown", "An API key consists of ASCII letters, digits and signs, without spaces or line breaks."
        )
    return key or None


def proxy_for(url: httpx.URL) -> Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for a URL, or None.

    Raises:
        ConfigurationError: the proxy is not usable.
    """
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    key = url.scheme if proxies.get(url.scheme) else "all"
    text = proxies.get(key)
    if not text:
        return None
    named = [name for name, value in os.environ.items() if name.lower() == f"{key}_proxy" and value == text]
    variable = named[0] if named else "The proxy of this system"
    must = "A proxy must be like http://localhost:3128 or socks5://localhost:1080. Correct the variable, or unset it."
    parsed = _parsed(variable, text, must)
    if parsed.scheme not in PROXY_SCHEMES:
        raise ConfigurationError(variable, shown(text), must)
    if parsed.scheme.startswith("socks") and find_spec("socksio") is None:
        advice = 'SOCKS proxies need the package socksio. Run: pip install "httpx[socks]", or unset the variable.'
        raise ConfigurationError(variable, shown(text), advice)
    return Proxy(httpx.Proxy(parsed), variable)


def certificates() -> ssl.SSLContext:
    """The certificates to trust: those of SSL_CERT_FILE or SSL_CERT_DIR, or else those of certifi.

    Raises:
        ConfigurationError: a variable names no file or folder of certificates.
    """
    file, folder = (os.environ.get(variable) for variable in CERTIFICATE_VARIABLES)
    advice = "Correct the variable, or unset it to trust the usual authorities."
    if file and not Path(file).is_file():
        raise ConfigurationError("SSL_CERT_FILE", printable(file), f"There is no such file. {advice}")
    if folder and not Path(folder).is_dir():
        raise ConfigurationError("SSL_CERT_DIR", printable(folder), f"There is no such folder. {advice}")
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        if not file:
            raise
        reason = "It cannot be read" if isinstance(error, PermissionError) else "It holds no certificate in PEM form"
        raise ConfigurationError("SSL_CERT_FILE", printable(file), f"{reason}. {advice}") from None


def _parsed(setting: str, text: str, must: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigurationError(setting, shown(text), f"{must} ({printable(str(error))})") from None
    if not url.host:
        raise ConfigurationError(setting, shown(text), must)
    if url.port is not None and not 0 < url.port < 2**16:
        raise ConfigurationError(setting, shown(text), f"A port is 1 to 65535, not {url.port}.")
    return url
