"""What files say of their making is told, whatever holds it, and nothing that a file holds does harm."""

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pillow_heif import register_heif_opener

from extract.provenance.claims import MOST_CLAIMS, read_claims
from extract.provenance.manifest import read_manifest_store
from tests.clips import counting_images, write_clip

C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmp:CreatorTool="Adobe Firefly"'
    f' Iptc4xmpExt:DigitalSourceType="{TRAINED}"/></x:xmpmeta>'
).encode()
SAID = 'a C2PA manifest by "Studio 2.0", which says made by a trained model (signature not checked)'


def cbor(value: Any) -> bytes:
    def head(kind: int, number: int) -> bytes:
        return bytes([kind << 5 | number]) if number < 24 else bytes([kind << 5 | 25]) + number.to_bytes(2, "big")

    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(key) + cbor(inner) for key, inner in value.items())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(2, len(value)) + value if isinstance(value, bytes) else head(0, value)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def superbox(label: str, *boxes: bytes) -> bytes:
    return box(b"jumb", box(b"jumd", bytes(16) + b"\x03" + label.encode() + b"\0") + b"".join(boxes))


def manifest(name: str, claim: dict[str, Any], source: str = TRAINED) -> bytes:
    actions = {"actions": [{"action": "c2pa.created", "digitalSourceType": source}]}
    return superbox(
        f"urn:c2pa:{name}",
        superbox("c2pa.assertions", superbox("c2pa.actions.v2", box(b"cbor", cbor(actions)))),
        superbox("c2pa.claim.v2", box(b"cbor", cbor(claim))),
        superbox("c2pa.signature", box(b"cbor", cbor(b"\0" * 300))),
    )


STORE = superbox(
    "c2pa",
    manifest("older", {"claim_generator": "Camera/1"}, "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"),
    manifest("newer", {"claim_generator_info": {"name": "Studio", "version": "2.0"}, "instanceID": "x" * 70}),
)


MANIFEST = box(b"uuid", C2PA_BOX + bytes(4) + b"manifest\0" + bytes(8) + STORE)
"""The box of an MP4 file."""


def png(path: Path) -> Path:
    Image.new("RGB", (8, 8)).save(path)
    content = path.read_bytes()
    chunk = struct.pack(">I", len(STORE)) + b"caBX" + STORE + bytes(4)
    path.write_bytes(content[:33] + chunk + content[33:])
    return path


def jpeg(path: Path) -> Path:
    Image.new("RGB", (8, 8)).save(path, xmp=XMP)
    content, half = path.read_bytes(), len(STORE) // 2
    first = b"JP\0\1" + struct.pack(">I", 1) + STORE[:half]
    second = b"JP\0\1" + struct.pack(">I", 2) + STORE[:8] + STORE[half:]
    segments = b"".join(b"\xff\xeb" + struct.pack(">H", len(part) + 2) + part for part in (first, second))
    path.write_bytes(content[:2] + segments + content[2:])
    return path


def webp(path: Path) -> Path:
    Image.new("RGB", (8, 8)).save(path, xmp=XMP)
    path.write_bytes(path.read_bytes() + b"C2PA" + struct.pack("<I", len(STORE)) + STORE)
    return path


def mp4(path: Path) -> Path:
    write_clip(path, counting_images(5))
    path.write_bytes(path.read_bytes() + MANIFEST + box(b"uuid", XMP_BOX + XMP))
    return path


FILES: dict[str, Callable[[Path], Path]] = {"png": png, "jpg": jpeg, "webp": webp, "mp4": mp4}


@pytest.mark.parametrize("suffix", FILES)
def test_a_manifest_and_xmp_are_told(tmp_path, suffix):
    path = FILES[suffix](tmp_path / f"a.{suffix}")
    claims = read_claims(path)
    assert SAID in claims
    if suffix != "png":
        assert {"XMP says made by a trained model", 'XMP\'s CreatorTool says "Adobe Firefly"'} <= set(claims)


@pytest.mark.parametrize("suffix", ["avif", "heic", "png"])
def test_xmp_in_other_pictures_is_told(tmp_path, suffix):
    register_heif_opener()
    path = tmp_path / f"a.{suffix}"
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options: dict[str, Any] = {"pnginfo": text} if suffix == "png" else {"xmp": XMP}
    Image.new("RGB", (64, 64)).save(path, **options)
    assert "XMP says made by a trained model" in read_claims(path)


def test_texts_and_tags_that_name_a_generator_are_told_and_others_are_not(tmp_path):
    text = PngInfo()
    text.add_text("prompt", '{"3": {"class_type": "KSampler", "inputs": {}}}')
    text.add_text("Title", "Sora")
    text.add_text("Software", "GIMP")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=text)
    (claim,) = read_claims(tmp_path / "a.png")
    assert claim.startswith('tag prompt says "{"3": {"class_type"')
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata.update(comment="made with Runway\n Gen-3", title="Sora")
        stream = container.add_stream("h264", rate=25)
        stream.width = stream.height = 32
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))), *stream.encode()]:
            container.mux(packet)
    assert read_claims(path) == ('tag comment says "made with Runway Gen-3"',)


def test_ordinary_files_claim_nothing(tmp_path):
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.mp4").touch()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    for path in (
        write_clip(tmp_path / "a.mp4", counting_images(3)),
        tmp_path,
        tmp_path / "absent",
        *tmp_path.iterdir(),
    ):
        assert read_claims(path) == ()


def test_a_manifest_that_cannot_be_read_is_still_one(tmp_path):
    content = png(tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content.replace(b"claim_generator_info", b"claim_generator_inf\xff"))
    assert read_claims(tmp_path / "a.png") == (SAID.replace(' by "Studio 2.0"', ""),)
    (tmp_path / "a.png").write_bytes(content.replace(b"cbor", b"nono"))
    assert read_claims(tmp_path / "a.png") == ("a C2PA manifest (signature not checked)",)


@pytest.mark.parametrize("suffix", FILES)
def test_damage_anywhere_raises_nothing(tmp_path, suffix):
    path = FILES[suffix](tmp_path / f"a.{suffix}")
    content, chance = path.read_bytes(), random.Random(0)
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(chance.randrange(1, 9)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.randrange(len(damaged))] if chance.random() < 0.5 else damaged)
        assert all(isinstance(claim, str) for claim in read_claims(path))


@pytest.mark.timeout(20)
def test_hostile_stores_end(tmp_path):
    deep = b"\x81" * 100_000
    for content in (
        deep,
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\x7b" + b"\xff" * 8,
        b"\x84" * 20 + b"\0" * 10**6,
    ):
        store = superbox("c2pa", superbox("m", superbox("c2pa.claim", box(b"cbor", content))))
        assert read_manifest_store(store).generator == ""
    nested = b""
    for _ in range(200):
        nested = superbox("m", nested)
    read_manifest_store(nested)
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path)
    many = b"<x:xmpmeta" + b"DigitalSourceType" * 3000
    segment = b"http://ns.adobe.com/xap/1.0/\0" + many
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:])
    assert read_claims(path) == ()


def test_not_more_is_told_than_a_reader_takes_in(tmp_path):
    text = PngInfo()
    for number in range(20):
        text.add_text("comment", f"ComfyUI {number} " + "x" * 1000)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=text)
    claims = read_claims(tmp_path / "a.png")
    assert len(claims) == MOST_CLAIMS
    assert max(map(len, claims)) < 120
