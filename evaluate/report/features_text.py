"""What a run looks at, in sentences from its profile, each with the paper behind the choice."""

from collections.abc import Iterator

from cache.profile import CropProfile, FeatureProfile, ForeignProfile, Profile

MORE = "docs/features.md"
REGIONS = {
    ("crop", "mean"): "mean over the crop",
    ("face", "mean"): "mean over the face",
    ("face", "std"): "standard deviation over the face",
    ("face-surround", "mean"): "mean over the face minus mean over its surround",
}
PAPERS = {
    "resnet50": "He et al., CVPR 2016",
    "mobilenetv2": "Sandler et al., CVPR 2018",
    "yunet": "Wu, Peng & Yu, Machine Intelligence Research 2023",
    "haar": "Viola & Jones, CVPR 2001",
}
SURROUND = (
    "Face minus surround: both went through the same camera, codec and light, unless the face was blended in. The idea "
    "is that of Face X-ray (Li et al., CVPR 2020)."
)


def features_sentences(profile: Profile) -> Iterator[str]:
    """Yields what the features of `profile` are and why; nothing for a run on crops."""
    if isinstance(profile, ForeignProfile):
        files = f" (SHA-256 {profile.file[:12]}…)" if profile.file else ", a file for each data set"
        yield f"{profile.size:,} numbers a frame, made by {profile.made_by} and brought in{files}."
    if not isinstance(profile, FeatureProfile):
        return
    yield f"Backbone {_with_paper(profile.backbone)}, frozen, with {_weights_text(profile.weights)}."
    if not profile.taps:
        yield "Features of a frame: the mean of one late layer over the crop."
        return
    words = (REGIONS.get((tap.region, tap.statistic), f"{tap.statistic} over {tap.region}") for tap in profile.taps)
    taken = (f"{what} of {tap.layer}" for what, tap in zip(words, profile.taps, strict=True))
    yield f"Features of a frame: {'; '.join(taken)}."
    if not profile.backbone.endswith("-top"):
        yield f"Lower layers rather than the last one, which tells who and what is shown ({MORE} has figures)."
    if any(tap.region == "face-surround" for tap in profile.taps):
        yield SURROUND


def detector_text(crops: CropProfile) -> str:
    """Returns the face detector of a crop profile with its paper."""
    return _with_paper(crops.detector)


def _weights_text(weights: str) -> str:
    """Returns the weights of a profile in words; a file's hash is cut to what tells files apart."""
    kind, _, value = weights.partition(":")
    file = f"the weights of a file (SHA-256 {value[:12]}…)"
    words = {"imagenet": "the weights of ImageNet", "random": "random weights", "sha256": file}
    return words.get(kind, f"weights {weights}")


def _with_paper(name: str) -> str:
    paper = PAPERS.get(name.partition("-")[0])
    return f"{name} ({paper})" if paper else name
