import re

import cv2
import numpy as np

from keyart.report.sheet import contact_sheet


def test_a_sheet_holds_its_pictures_and_escapes_captions(tmp_path):
    content = cv2.imencode(".png", np.full((90, 600, 3), 99, np.uint8))[1].tobytes()
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    html = contact_sheet([(content, "<b>bytes"), (file, "a file"), (None, "nothing"), (b"broken", "broken")])
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(pictures) == 2 and pictures[0] == pictures[1]
    assert "&lt;b&gt;bytes" in html and "<b>bytes" not in html
    assert html.count("<figcaption>") == 4
