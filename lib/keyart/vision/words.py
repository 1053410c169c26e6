"""What features are called to people: a phrase where a picture has more of one, and one where it has less."""

__all__ = ["MOOD", "PHRASES", "phrase"]

MOOD = "mood_"
PHRASES = {
    "brightness": ("brighter light", "a darker light"),
    "contrast": ("stronger contrast", "softer contrast"),
    "low_key": ("deeper shadows", "fewer shadows"),
    "high_key": ("more bright ground", "less bright ground"),
    "saturation": ("richer colours", "quieter colours"),
    "colourfulness": ("more colours", "fewer colours"),
    "warmth": ("warmer colours", "cooler colours"),
    "hue_x": ("colours nearer red", "colours nearer cyan"),
    "hue_y": ("colours nearer yellow", "colours nearer blue"),
    "hue_agreement": ("one colour all over", "colours that differ"),
    "palette_variety": ("a palette of many tones", "a palette of few tones"),
    "harmony": ("colours in harmony", "colours that clash"),
    "sharpness": ("a sharper picture", "a softer picture"),
    "motion_blur": ("more movement", "less movement"),
    "noise": ("more grain", "less grain"),
    "exposure": ("a better exposure", "a poorer exposure"),
    "thirds": ("a more classic frame", "a freer frame"),
    "symmetry": ("a more even frame", "a freer frame"),
    "balance": ("weight in the middle", "weight to one side"),
    "simplicity": ("a simpler picture", "a busier picture"),
    "negative_space": ("more open space", "a fuller frame"),
    "negative_side": ("open space on the right", "open space on the left"),
    "depth_of_field": ("a softer background", "sharpness all over"),
    "tilt": ("a tilted horizon", "a level horizon"),
    "subject_x": ("a subject further right", "a subject further left"),
    "subject_y": ("a subject lower down", "a subject higher up"),
    "subject_spread": ("interest all over", "interest in one place"),
    "subject_strength": ("a stronger subject", "a quieter subject"),
    "subject_light": ("a brighter subject", "a darker subject"),
    "detail": ("more detail", "less detail"),
    "face_count": ("more faces", "fewer faces"),
    "face_size": ("a face closer up", "faces farther away"),
    "face_x": ("a face further right", "a face further left"),
    "face_y": ("a face lower down", "a face higher up"),
    "face_frontal": ("a face that looks at you", "a face that looks away"),
    "faces_together": ("faces side by side", "faces apart"),
    "face_cut_off": ("a face cut off", "faces shown whole"),
    "closeness": ("a closer view", "a wider view"),
    "face_eyes_open": ("open eyes", "closed eyes"),
    "face_smile": ("a smile", "no smile"),
    "camera_motion": ("more movement", "less movement"),
    "subject_motion": ("more movement", "less movement"),
    "lettering": ("more lettering", "less lettering"),
    "title_card": ("more of a title card", "less of a title card"),
    "resonance": ("more feeling", "less feeling"),
}
"""By feature (see ``features``); moods and what else is not here are called by their names."""


def phrase(feature: str, more: bool = True) -> str:
    """A feature as people would say it; underscores and blanks in its name are the same.

    >>> phrase("face count", more=False), phrase("mood_tense"), phrase("area")
    ('fewer faces', 'a more tense mood', 'more area')
    """
    name = feature.replace(" ", "_")
    pair = PHRASES.get(name)
    if pair is not None:
        return pair[0 if more else 1]
    degree = "more" if more else "less"
    if name.startswith(MOOD):
        return f"a {degree} {name.removeprefix(MOOD).replace('_', ' ')} mood"
    return f"{degree} {name.replace('_', ' ')}"
