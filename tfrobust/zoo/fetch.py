"""Where a weight file is: in the zoo, else where `TFROBUST_ZOO` points; from a URL it is fetched once and kept."""

import http.client
import os
import pathlib
import urllib.parse
import urllib.request

from tfrobust import terminal
from tfrobust.files import sha256
from tfrobust.zoo import manifest

VARIABLE = "TFROBUST_ZOO"
SCHEMES = ("http://", "https://", "file://")
CHUNK, PARTIAL_CONTENT, TIMEOUT = 1 << 16, 206, 30


def weight_file(entry, zoo=None, show_progress=None):
    """Path of an entry's weight file; who opens it checks that it is there and has its hash.

    The variable `TFROBUST_ZOO` names a zoo, as a folder or as a URL, for files that `zoo` does not hold.

    Raises:
        ValueError: the file cannot be fetched, or what was fetched has another hash.
    """
    shipped = manifest.folder(zoo) / "weights" / entry.weights
    source = os.environ.get(VARIABLE)
    if shipped.is_file() or not source:
        return shipped
    if not source.startswith(SCHEMES):
        return pathlib.Path(source) / "weights" / entry.weights
    url = f"{source.rstrip('/')}/weights/{urllib.parse.quote(entry.weights)}"
    return download(url, cache() / entry.weights, entry.bytes, entry.sha256, show_progress)


def cache():
    """The folder that fetched files are kept in."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tfrobust"


def download(url, path, size, expected_sha256, show_progress=None):
    """Fetch a file unless it is there with its hash; a fetch that was cut, also by a kill, goes on where it stopped.

    By hand, as the usual helpers (`keras.utils.get_file`, pooch) check a hash and keep the file, but begin anew.

    Raises:
        ValueError: nothing more comes before the file is whole (the part is kept), or its hash differs (nothing is).
    """
    if path.is_file() and sha256(path) == expected_sha256:
        return path
    part = path.with_name(f"{path.name}.{expected_sha256[:8]}.part")  # never goes on with another version's part
    with terminal.bar(path.name, size, show_progress) as advance:
        _fill(part, url, size, advance)
    found = sha256(part)
    if found != expected_sha256:
        part.unlink()
        raise ValueError(f"the file at {url} must have SHA-256 {expected_sha256}. Received: sha256={found!r}")
    os.replace(part, path)
    return path


def _fill(part, url, size, advance):
    """Bring a part to its full size, over as many connections as it takes if each brings something."""
    held = _held(part)
    advance(held)
    while held < size:
        reason = "the connection ended"
        try:
            _append(part, url, held, size)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error)
        before, held = held, _held(part)
        if held <= before:
            raise ValueError(f"{url} must give {size} bytes ({reason}). Received: bytes={held}")
        advance(held - before)


def _append(part, url, held, size):
    part.parent.mkdir(parents=True, exist_ok=True)
    request = urllib.request.Request(url, headers={"Range": f"bytes={held}-"} if held else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        goes_on = held and response.status == PARTIAL_CONTENT
        with open(part, "ab" if goes_on else "wb") as file:
            while chunk := response.read(min(CHUNK, size - file.tell())):
                file.write(chunk)


def _held(part):
    return part.stat().st_size if part.exists() else 0
