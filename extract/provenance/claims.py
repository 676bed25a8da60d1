"""What a file claims: a C2PA manifest, and XMP or tags that name a generator, as words to stand beside a verdict."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from base.errors import Unreadable
from base.outside.content import NO_FILE, WrongContent, open_regular
from base.text import printable
from extract.provenance.blocks import Block, blocks_of
from extract.provenance.manifest import read_manifest_store
from extract.video.containers import ClipError, naming_failures, open_video
from extract.video.pictures import is_picture

MOST_CLAIMS, MOST_WORDS = 8, 80
"""Claims of a file that are told, and characters of each word."""
SYNTHETIC = {
    "trainedAlgorithmicMedia": "made by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "made in part by a trained model",
    "compositeSynthetic": "made in part by synthesis",
    "algorithmicMedia": "made by an algorithm",
    "virtualRecording": "a recording of a virtual scene",
    "digitalArt": "digital art",
}
"""What IPTC's digital source types say, cv.iptc.org/newscodes/digitalsourcetype, of content that no camera took."""
TAGS = re.compile(
    r"(?i)(?:.*[._])?(?:software|encoder|encoded_by|tool|creatortool|generator|comment|description|parameters|prompt|"
    r"workflow|make|model|artist|publisher|copyright|synopsis)"
)
"""Tags in which programs put their names; not titles, which are about what is shown."""
GENERATORS = re.compile(
    r"(?i)\b(?:OpenAI|Sora|DALL.?E|ChatGPT|Midjourney|Stable ?Diffusion|Stable ?Video|ComfyUI|AUTOMATIC1111|InvokeAI|"
    r"Firefly|Runway(?:ML)?|Pika(?: Labs)?|Kling|Hailuo|MiniMax|Luma(?: AI)?|Dream Machine|Veo|Imagen|Gemini|"
    r"Made with Google AI|HeyGen|Synthesia|D-ID|Hedra|DeepFaceLab|DeepFaceLive|FaceFusion|FaceSwap|Roop|Rope|ReActor|"
    r"Deep-Live-Cam|Reface|Avatarify|SadTalker|Wav2Lip|LivePortrait|AnimateDiff|Hunyuan(?:Video)?|CogVideoX?|"
    r"LTX-Video|Mochi|AI.generated|class_type)\b"
)
"""Names of generators and face swappers, and the word by which ComfyUI's workflows are known."""
_SOURCE = re.compile(rb"DigitalSourceType[^<>]{0,80}?[\">]\s{0,20}([^\"<>\s]{1,200})")
_TOOL = re.compile(rb"CreatorTool[^<>]{0,80}?[\">]\s{0,20}([^\"<>]{1,200})")


def read_claims(path: Path) -> tuple[str, ...]:
    """Returns what the file at `path` claims of its making, each a sentence's end; a folder claims nothing.

    Nothing is verified. Raises nothing for what a file holds.
    """
    claims = dict.fromkeys(_claims(path)) if path.is_file() else {}
    return tuple(claims)[:MOST_CLAIMS]


def _claims(path: Path) -> Iterator[str]:
    with contextlib.suppress(*NO_FILE, WrongContent, Unreadable), open_regular(path) as file:
        for block in blocks_of(file):
            yield from _of_block(block)
    if not is_picture(path):
        yield from _of_tags(path)


def _of_block(block: Block) -> Iterator[str]:
    if block.kind == "c2pa":
        manifest = read_manifest_store(block.content)
        by = f" by {_word(manifest.generator)}" if manifest.generator else ""
        said = [SYNTHETIC[source] for source in manifest.sources if source in SYNTHETIC]
        yield f"a C2PA manifest{by}{', which says ' + ' and '.join(said) if said else ''} (signature not checked)"
    elif block.kind == "xmp":
        for source in _SOURCE.findall(block.content):
            if name := SYNTHETIC.get(source.decode("latin-1").rpartition("/")[2]):
                yield f"XMP says {name}"
        for tool in _TOOL.findall(block.content):
            yield from _of_tag("XMP's CreatorTool", tool.decode("utf-8", "replace"))
    elif TAGS.fullmatch(block.name):
        yield from _of_tag(f"tag {block.name}", block.content.decode("utf-8", "replace"))


def _of_tags(path: Path) -> Iterator[str]:
    """Yields the tags of a video, and of its stream, that name a generator."""
    with contextlib.suppress(ClipError), naming_failures(path), open_video(path) as stream:
        for name, text in (*stream.container.metadata.items(), *stream.metadata.items()):
            if TAGS.fullmatch(name):
                yield from _of_tag(f"tag {name}", text)


def _of_tag(where: str, text: str) -> Iterator[str]:
    if match := GENERATORS.search(text[:65536]):
        # What stands around the name, of a text that may be a whole workflow.
        start = max(0, min(match.start() - 20, len(text) - MOST_WORDS))
        yield f"{_plain(where)} says {_word(text if len(text) <= MOST_WORDS else text[start : start + MOST_WORDS])}"


def _word(text: str) -> str:
    return f'"{_plain(text.strip())}"'


def _plain(text: str) -> str:
    return printable(" ".join(text[:MOST_WORDS].split()))
