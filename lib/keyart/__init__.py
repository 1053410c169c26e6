"""keyart: personalised artwork for a video catalogue, from the films' frames to what each viewer is shown."""

__version__ = "0.1.0"
