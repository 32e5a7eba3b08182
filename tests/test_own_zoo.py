"""A zoo of one's own: adding and saving models, and weights that another zoo holds, in a folder or behind a URL."""

import contextlib
import hashlib
import http.server
import runpy
import threading

import keras
import numpy as np
import pytest

from tfrobust import data, layers, zoo
from tfrobust.files import sha256
from tfrobust.types import ThreatModel
from tfrobust.zoo import fetch, manifest

pytestmark = pytest.mark.tensorflow

DIGITS = data.load("digits", n=4).pixels()
RECIPE = """
from tfrobust.training import Standard
from tfrobust.zoo import Recipe

RECIPE = Recipe(name="mlp_fixed2.digits_try", data="digits", defense=Standard(), epochs=1)
"""


def own_model():
    """A network that no architecture's name builds."""
    x = images = keras.Input((28, 28, 1))
    x = layers.QuantDense(5, kernel_quantizer="binary")(keras.layers.Flatten()(layers.DQA(2)(x)))
    return keras.Model(images, x, name="own")


def same_logits(first, second):
    return np.array_equal(np.asarray(first(DIGITS)), np.asarray(second(DIGITS)))


# Adding


def test_adding_a_model_takes_three_files_its_recipe_and_the_row_and_card_that_entering_it_writes(tmp_path):
    (tmp_path / "recipes").mkdir()
    file = tmp_path / "recipes" / "mlp_fixed2.digits_try.py"
    file.write_text(RECIPE)
    zoo.enter(runpy.run_path(str(file))["RECIPE"], zoo=tmp_path)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.suffix != ".md"}
    assert written == {"recipes/mlp_fixed2.digits_try.py", "manifest.json", "cards/mlp_fixed2.digits_try.json"}
    (card,) = zoo.list_models("digits", zoo=tmp_path)
    assert (card.name, card.verdict, card.activation_bits) == ("mlp_fixed2.digits_try", "untrained", 2)
    assert zoo.load("mlp_fixed2.digits_try", weights=None, zoo=tmp_path).name == "mlp_fixed2"


def test_an_entry_with_weights_is_not_entered_again(tmp_path):
    recipe = zoo.Recipe(name="own.try", data="digits", defense=None, epochs=1)
    zoo.save(own_model(), "own.try", tmp_path)
    with pytest.raises(ValueError, match="the entry must not have weights yet. Received: name='own.try'"):
        zoo.enter(recipe, zoo=tmp_path)


# Saving


def test_a_saved_model_is_loaded_by_name_or_as_its_folder_s_only_one_and_stands_in_the_list(tmp_path):
    model = own_model()
    entry = zoo.save(model, "own.mine", tmp_path, data="digits", threat=ThreatModel(0.1))
    for loaded in (zoo.load("own.mine", zoo=tmp_path), zoo.load("own", zoo=tmp_path), zoo.load(tmp_path)):
        assert same_logits(loaded, model)
    (card,) = zoo.list_models("digits", zoo=tmp_path)
    assert (card.threat, card.verdict, card.weights_bytes) == ("Linf 0.1 on [0,1]", "not measured", entry.bytes)
    assert card.macs_by_bits == {"1x2": 28 * 28 * 5} and "Not measured" in str(card)


def test_saving_under_a_name_replaces_what_bore_it_and_the_first_of_a_model_stays_its_default(tmp_path):
    first, second = own_model(), own_model()
    zoo.save(first, "own.a", tmp_path)
    zoo.save(second, "own.b", tmp_path)
    assert same_logits(zoo.load("own", zoo=tmp_path), first)
    zoo.save(second, "own.a", tmp_path)
    assert same_logits(zoo.load("own", zoo=tmp_path), second) and len(manifest.read(tmp_path)) == 2


def test_a_saved_file_that_was_changed_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    entry = zoo.save(own_model(), "own", tmp_path)
    (tmp_path / "weights" / entry.weights).write_bytes(b"other")
    monkeypatch.setattr(keras.models, "load_model", lambda *args: pytest.fail("the file was opened"))
    with pytest.raises(ValueError, match="the weight file must have SHA-256"):
        zoo.load("own", zoo=tmp_path)


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: zoo.save(own_model(), "../own", folder), r"name must be letters.*Received: name='\.\./own'"),
        (lambda folder: zoo.save(Subclassed(), "own", folder), "must be functional or sequential and built"),
        (lambda folder: zoo.load(folder), r"of several entries give a name.*Received: names=\['a', 'b'\]"),
        (lambda folder: zoo.load("c", zoo=folder), "a model must be one of a, b. Received: 'c'"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing_behind(call, message, tmp_path):
    for name in ("a", "b"):
        zoo.save(own_model(), name, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_entry_without_its_card_is_named(tmp_path):
    zoo.save(own_model(), "own", tmp_path)
    (tmp_path / "cards" / "own.json").unlink()
    with pytest.raises(ValueError, match="an entry must have its card. Received: path='own.json'"):
        zoo.list_models(zoo=tmp_path)


# Weights that another zoo holds


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a folder; each connection ends after `most` bytes; keeps what was asked for."""

    def do_GET(self):
        asked = (self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-")
        first = int(asked) if self.server.takes_ranges else 0
        self.server.asked.append(first)
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            return self.send_error(404)
        rest = file.read_bytes()[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.most])

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(folder, most=None, takes_ranges=True):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.most, server.takes_ranges, server.asked = folder, most, takes_ranges, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def far(tmp_path):
    """A zoo that holds a weight file, and one with the same row but without the file: `(far, near)`."""
    far, near = tmp_path / "far", tmp_path / "near"
    zoo.save(own_model(), "own", far)
    near.mkdir()
    (near / manifest.FILE).write_text((far / manifest.FILE).read_text())
    return far, near


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.VARIABLE, raising=False)
    return tmp_path / "cache" / "tfrobust"


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def test_a_folder_named_by_the_variable_holds_the_weights_that_the_zoo_does_not(far, monkeypatch, cache):
    with pytest.raises(ValueError, match="the weight file must exist.*TFROBUST_ZOO"):
        zoo.load("own", zoo=far[1])
    for place in (str(far[0]), far[0].as_uri()):
        monkeypatch.setenv(fetch.VARIABLE, place)
        assert same_logits(zoo.load("own", zoo=far[1]), zoo.load("own", zoo=far[0]))
    assert names(cache) == ["own.keras"]  # by way of the URL


def test_a_download_that_is_cut_goes_on_where_it_stopped_and_is_kept(far, monkeypatch, cache):
    size = manifest.resolve("own", far[0]).bytes
    with serving(far[0], most=size // 2 + 1) as server:
        monkeypatch.setenv(fetch.VARIABLE, f"http://127.0.0.1:{server.server_port}")
        for _ in range(2):
            assert same_logits(zoo.load("own", zoo=far[1]), zoo.load("own", zoo=far[0]))
        assert server.asked == [0, size // 2 + 1]  # once, in two parts
    assert names(cache) == ["own.keras"] and sha256(cache / "own.keras") == manifest.resolve("own", far[0]).sha256


CONTENT = bytes(range(256)) * 10
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    """Where a download goes; what is served is the file itself in another folder."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_bytes(CONTENT)
    (tmp_path / "got").mkdir()
    return tmp_path / "got" / "file"


def part_of(path):
    return path.with_name(f"file.{DIGEST[:8]}.part")


def download(server, path, expected=DIGEST):
    url = f"http://127.0.0.1:{server.server_port}/file"
    return fetch.download(url, path, len(CONTENT), expected, show_progress=False)


def test_what_an_earlier_process_fetched_is_not_fetched_again(path):
    part_of(path).write_bytes(CONTENT[:700])
    with serving(path.parent.parent / "served", most=1000) as server:
        assert download(server, path).read_bytes() == CONTENT
    assert server.asked == [700, 1700] and names(path.parent) == ["file"]


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole_file(path):
    part_of(path).write_bytes(b"x" * 700)
    with serving(path.parent.parent / "served", takes_ranges=False) as server:
        assert download(server, path).read_bytes() == CONTENT
    assert names(path.parent) == ["file"]


def test_a_server_without_the_file_is_named_and_the_part_that_was_fetched_is_kept(path):
    part_of(path).write_bytes(CONTENT[:700])
    with (
        serving(path.parent) as server,
        pytest.raises(ValueError, match=r"/file must give 2560 bytes \(HTTP Error 404"),
    ):
        download(server, path)
    assert part_of(path).read_bytes() == CONTENT[:700]


def test_a_wrong_hash_leaves_nothing_behind(path):
    with serving(path.parent.parent / "served") as server:
        with pytest.raises(ValueError, match="must have SHA-256 0000.* Received: sha256="):
            download(server, path, expected="0" * 64)
    assert names(path.parent) == []


def test_a_kept_file_that_was_damaged_is_fetched_anew(path):
    path.write_bytes(b"damaged")
    with serving(path.parent.parent / "served") as server:
        assert download(server, path).read_bytes() == CONTENT
