"""How data sets lie on disk, as their authors or users hand them round, and what is read of each."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from cache.schema import FAKE, REAL

Row = tuple[int, str, str, str, str, str]
"""Label, target, donor, source, part, kind."""


@dataclass(frozen=True)
class Tree:
    """The files of a data set, some with their text, and what its `layout` reads: the rows by id."""

    layout: str
    files: tuple[str, ...]
    rows: dict[str, Row]
    texts: dict[str, str] = field(default_factory=dict)

    def draw(self, root: Path) -> Path:
        """Draws the files below `root`; returns it."""
        for name in self.files:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * len(name))
        for name, text in self.texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root


def numbered(folder: str, count: int = 3) -> tuple[str, ...]:
    """Returns the names of `count` pictures in `folder`."""
    return tuple(f"{folder}/{number:03}.png" for number in range(1, count + 1))


_DFDC_PREVIEW = {
    "original_videos/643755/643755_A_000.mp4": {"label": "real", "set": "train", "target_id": "643755"},
    "method_A/643755/1224068/643755_B_000.mp4": {"label": "fake", "set": "test", "swapped_id": "1224068"},
    "method_B/1/2/1_C_000.mp4": {"label": "fake", "set": "test"},
}
_AV_TABLE = (
    "source,target1,target2,method,category,type,race,gender,path,\n"
    "id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4,FakeAVCeleb/RealVideo-RealAudio/African/men/id00076\n"
    "id00076,id00701,1,wav2lip,C,FakeVideo-RealAudio,African,men,00109_1_id00701_wavtolip.mp4,FakeAVCeleb/FakeVideo\n"
)
TREES = {
    "Celeb-DF++": Tree(
        "celeb-df",
        (
            "Celeb-real/id0_0000.mp4",
            "Celeb-real/id1/id1_0001.mp4",
            "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4",
            "Celeb-synthesis/FaceSwap/Celeb-DF/id0_id1_0000.mp4",
            "Celeb-synthesis/TalkingFace/SadTalker/id0_id1_0001.mp4",
            "YouTube-real/00001.mp4",
        ),
        {
            "Celeb-real/id0_0000.mp4": (REAL, "id0", "", "", "train", ""),
            "Celeb-real/id1/id1_0001.mp4": (REAL, "id1", "", "", "train", ""),
            "Celeb-synthesis/FaceSwap/Celeb-DF/id0_id1_0000.mp4":
                (FAKE, "id0", "id1", "Celeb-real/id0_0000.mp4", "train", "FaceSwap/Celeb-DF"),
            "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4":
                (FAKE, "id0", "id1", "Celeb-real/id0_0000.mp4", "test", "FaceSwap/SimSwap"),
            "Celeb-synthesis/TalkingFace/SadTalker/id0_id1_0001.mp4":
                (FAKE, "id0", "id1", "Celeb-real/id0_0001", "train", "TalkingFace/SadTalker"),
            "YouTube-real/00001.mp4": (REAL, "", "", "", "test", ""),
        },
        {"List_of_testing_videos.txt":
            "1 YouTube-real/00001.mp4\n0 Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4\n"},
    ),
    "Celeb-DF as frames": Tree(
        "celeb-df",
        (*numbered("Celeb-real/frames/id0_0000"), *numbered("Celeb-synthesis/frames/id0_id1_0000")),
        {
            "Celeb-real/id0_0000": (REAL, "id0", "", "", "test", ""),
            "Celeb-synthesis/id0_id1_0000": (FAKE, "id0", "id1", "Celeb-real/id0_0000", "train", ""),
        },
        {"List_of_testing_videos.txt": "1 Celeb-real/id0_0000.mp4"},
    ),
    "FaceForensics++ as frames": Tree(
        "ff++",
        (
            *numbered("manipulated_sequences/Deepfakes/c23/frames/000_003"),
            *numbered("original_sequences/youtube/c23/frames/000"),
        ),
        {
            "Deepfakes/000_003": (FAKE, "ff-000", "ff-003", "youtube/000", "train", "Deepfakes"),
            "youtube/000": (REAL, "ff-000", "", "", "train", ""),
        },
        {"train.json": '[["000", "003"]]', "val.json": "[]", "test.json": "[]"},
    ),
    "FaceForensics++ with sub-folders, and DeepFakeDetection": Tree(
        "ff++",
        (
            "original_sequences/youtube/c23/videos/part 1/000.mp4",
            "manipulated_sequences/NeuralTextures/c23/videos/part 1/000_003.mp4",
            "original_sequences/actors/c23/videos/01__walking.mp4",
            "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking__ABC12345.mp4",
        ),
        {
            "DeepFakeDetection/01_02__walking__ABC12345.mp4":
                (FAKE, "actor-01", "actor-02", "actors/01__walking.mp4", "", "DeepFakeDetection"),
            "NeuralTextures/part 1/000_003.mp4": (FAKE, "ff-000", "ff-003", "youtube/000", "", "NeuralTextures"),
            "actors/01__walking.mp4": (REAL, "actor-01", "", "", "", ""),
            "youtube/part 1/000.mp4": (REAL, "ff-000", "", "", "", ""),
        },
    ),
    "FaceForensics++ C23 as it is passed round": Tree(
        "ff++-c23",
        ("FaceForensics++_C23/Deepfakes/000_003.mp4", "FaceForensics++_C23/original/000.mp4",
         "FaceForensics++_C23/DeepFakeDetection/01_02__walking__ABC12345.mp4"),
        {
            "DeepFakeDetection/01_02__walking__ABC12345.mp4":
                (FAKE, "actor-01", "actor-02", "original/01__walking", "", "DeepFakeDetection"),
            "Deepfakes/000_003.mp4": (FAKE, "ff-000", "ff-003", "original/000.mp4", "", "Deepfakes"),
            "original/000.mp4": (REAL, "ff-000", "", "", "", ""),
        },
        {"FaceForensics++_C23/csv/FF++_Metadata.csv": "File Path,Label\noriginal/000.mp4,REAL\n"},
    ),
    "DeepFakeDetection by itself": Tree(
        "dfd",
        (
            "DFD_original sequences/01__walking.mp4",
            "DFD_manipulated_sequences/DFD_manipulated_sequences/01_02__walking__ABC12345.mp4",
        ),
        {
            "DFD_manipulated_sequences/DFD_manipulated_sequences/01_02__walking__ABC12345.mp4":
                (FAKE, "actor-01", "actor-02", "DFD_original sequences/01__walking.mp4", "", "DeepFakeDetection"),
            "DFD_original sequences/01__walking.mp4": (REAL, "actor-01", "", "", "", ""),
        },
    ),
    "DFDC": Tree(
        "dfdc",
        ("dfdc_train_part_0/aaa.mp4", "dfdc_train_part_0/bbb.mp4"),
        {
            "dfdc_train_part_0/aaa.mp4": (REAL, "", "", "", "train", ""),
            "dfdc_train_part_0/bbb.mp4": (FAKE, "", "", "dfdc_train_part_0/aaa.mp4", "train", ""),
        },
        {"dfdc_train_part_0/metadata.json": json.dumps({
            "aaa.mp4": {"label": "REAL", "split": "train"},
            "bbb.mp4": {"label": "FAKE", "split": "train", "original": "aaa.mp4"},
        })},
    ),
    "DFDC as frames": Tree(
        "dfdc",
        (*numbered("dfdc_train_part_0/frames/aaa"), *numbered("dfdc_train_part_0/frames/bbb")),
        {
            "dfdc_train_part_0/frames/aaa": (REAL, "", "", "", "", ""),
            "dfdc_train_part_0/frames/bbb": (FAKE, "", "", "dfdc_train_part_0/frames/aaa", "", ""),
        },
        {"dfdc_train_part_0/metadata.json": json.dumps({
            "aaa.mp4": {"label": "REAL"}, "bbb.mp4": {"label": "FAKE", "original": "aaa.mp4"},
        })},
    ),
    "DFDC preview": Tree(
        "dfdc-preview",
        ("method_A/643755/1224068/643755_B_000.mp4", "original_videos/643755/643755_A_000.mp4"),
        {
            "method_A/643755/1224068/643755_B_000.mp4": (FAKE, "643755", "1224068", "", "test", "method_A"),
            "original_videos/643755/643755_A_000.mp4": (REAL, "643755", "", "", "train", ""),
        },
        {"dataset.json": json.dumps(_DFDC_PREVIEW)},
    ),
    "DFDC preview as frames": Tree(
        "dfdc-preview",
        (*numbered("method_A/frames/643755_B_000"), *numbered("original_videos/frames/643755_A_000")),
        {
            "method_A/643755_B_000": (FAKE, "643755", "", "", "test", "method_A"),
            "original_videos/643755_A_000": (REAL, "643755", "", "", "train", ""),
        },
        {"dataset.json": json.dumps(_DFDC_PREVIEW)},
    ),
    "FakeAVCeleb": Tree(
        "fakeavceleb",
        (
            "FakeVideo-RealAudio/African/men/id00076/00109_1_id00701_wavtolip.mp4",
            "FakeVideo-FakeAudio/African/men/id00076/00109_2_id00702_wavtolip.mp4",
            "RealVideo-FakeAudio/African/men/id00076/00109_fake.mp4",
            "RealVideo-RealAudio/African/men/id00076/00109.mp4",
        ),
        {
            "FakeVideo-FakeAudio/African/men/id00076/00109_2_id00702_wavtolip.mp4":
                (FAKE, "id00076", "id00702", "", "", "FakeVideo-FakeAudio"),
            "FakeVideo-RealAudio/African/men/id00076/00109_1_id00701_wavtolip.mp4":
                (FAKE, "id00076", "id00701", "", "", "wav2lip"),
            "RealVideo-FakeAudio/African/men/id00076/00109_fake.mp4": (REAL, "id00076", "", "", "", ""),
            "RealVideo-RealAudio/African/men/id00076/00109.mp4": (REAL, "id00076", "", "", "", ""),
        },
        {"meta_data.csv": _AV_TABLE},
    ),
    "DeeperForensics-1.0": Tree(
        "deeperforensics",
        (
            "manipulated_videos/end_to_end/000_M101.mp4",
            "manipulated_videos/end_to_end_level_1/000_M101.mp4",
            "source_videos/M004/BlendShape/camera_front/M004_b.mp4",
            "source_videos/M101/BlendShape/camera_front/M101_b.mp4",
        ),
        {
            "manipulated_videos/end_to_end/000_M101.mp4": (FAKE, "ff-000", "M101", "youtube/000", "val", "end_to_end"),
            "manipulated_videos/end_to_end_level_1/000_M101.mp4":
                (FAKE, "ff-000", "M101", "youtube/000", "val", "end_to_end_level_1"),
            "source_videos/M004/BlendShape/camera_front/M004_b.mp4": (REAL, "M004", "", "", "", ""),
            "source_videos/M101/BlendShape/camera_front/M101_b.mp4": (REAL, "M101", "", "", "val", ""),
        },
        {"lists/splits/val.txt": "000_M101.mp4\n"},
    ),
    "real and fake": Tree(
        "folders",
        ("real/a.mp4", "fake/deep/b.mp4"),
        {"fake/deep/b.mp4": (FAKE, "", "", "", "", ""), "real/a.mp4": (REAL, "", "", "", "", "")},
    ),
    "real and fake as frames": Tree(
        "folders",
        (*numbered("fake/v1"), *numbered("real/v1")),
        {"fake/v1": (FAKE, "", "", "", "", ""), "real/v1": (REAL, "", "", "", "", "")},
    ),
    "real and fake in parts": Tree(
        "folders",
        ("test/fake/f.mp4", "test/real/r.mp4", "train/fake/f.mp4", "train/real/r.mp4", "val/fake/f.mp4",
         "val/real/r.mp4"),
        {
            f"{part}/{name}/{name[0]}.mp4": (label, "", "", "", part, "")
            for part in ("test", "train", "val") for name, label in (("fake", FAKE), ("real", REAL))
        },
    ),
    "WildDeepfake": Tree(
        "folders",
        (*numbered("fake_test/10/fake/3"), *numbered("real_train/0/real/1")),
        {
            "fake_test/10/fake/3": (FAKE, "", "", "", "test", ""),
            "real_train/0/real/1": (REAL, "", "", "", "train", ""),
        },
    ),
}  # fmt: skip
