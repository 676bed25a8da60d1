"""The texts of the page."""

from detect.detector.judge import DEFAULT_WINDOW

TITLES = {
    "Fake": "The face looks fake",
    "Real": "The face looks real",
    "Unsure": "Too close to call",
    "Undecided": "Undecided",
    "Failed": "This file cannot be judged",
}
UNLIKE = "Unlike the clips it was trained on"
CALLED = {"Fake": "looks fake", "Unsure": "too close to call", "Real": "looks real"}
NO_FACE = "too little of a face to judge"
MEANINGS = {
    "face": "a face was found in this frame",
    "tracked": "no face was found in this frame; the box is that of the nearest frame with one",
    "lost": "no face was found in this frame, nor in the ones before and after; it is not judged",
    "full_frame": "no frame of the clip shows a face, so this is the whole picture",
}
NOT_SAID = (
    "It is no evidence about a person, and no proof that a clip was forged or is genuine. Do not accuse anyone on its "
    "basis.",
    "The detector looks at faces through a network that was trained on photographs of things and then frozen. Subtle "
    "swaps, good generators and kinds of fakes that it was not trained on can pass as real.",
    "Strong compression, small or dark faces, filters and screen recordings change the number, for real clips too.",
    "On footage unlike its training data (another data set, camera or group of people) it is wrong more often than its "
    "report says, and the number is no longer calibrated.",
    "It sees twelve still frames, or one picture, of the largest face. It does not hear the sound, and does not know "
    "what is claimed in the clip.",
    "Too close to call means that a face was seen well enough, and its score says neither real nor fake.",
    "Undecided means that a face was found in fewer than half of the frames. That hints neither at real nor at fake.",
)
UNDECIDED = (
    "So the detector gives no verdict, which hints neither at real nor at fake. Try one in which the face is larger, "
    "well lit, and turned to the camera."
)
UNSURE = "By this score neither real nor fake is at least twice as likely as the other, so it is called neither. "
ABOUT_STILL = (
    "This is one still frame, so nothing is known of its motion. The run was trained and validated on twelve frames a "
    "clip: expect more errors here than its report says."
)
NO_HINT = "That hints neither at real nor at fake."
ABOUT_LIVE = (
    f"The verdict is on twelve frames of the last {DEFAULT_WINDOW:g} seconds, and changes with them. Coverage is the "
    "share of these frames in which a face was found. The lag is the time from a frame to its verdict; frames that "
    "come faster than they can be judged are dropped."
)
ABOUT_TIME = (
    f"Choose a bar to play from there. Each is the score of a part of the clip, {DEFAULT_WINDOW:g} seconds from where "
    "it stands, judged by itself, so it may differ from the verdict on the whole clip. Bars that end above the grey "
    "band look fake; those that end in it are too close to call; in hatched parts too little of a face was found."
)
UNPLAYABLE = "This browser cannot play this kind of clip. The verdict on it stands."
GONE = "This clip is no longer kept, so it cannot be played. The verdict on it stands."
STILL_JUDGED = "Your other clip is being judged. Drop this one again once the verdict is here."
