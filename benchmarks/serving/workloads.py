"""The workloads: two that sample and one that stylizes."""

import io
import json
from dataclasses import dataclass

from PIL import Image

from benchmarks.serving.load import Request
from service.settings import ROOT

PHOTO = ROOT / "docs" / "images" / "photo.jpg"
_BOUNDARY = "ganvas-benchmark"


@dataclass(frozen=True)
class Workload:
    """One kind of request.

    Attributes:
        name: on the command line of a server.
        title: in the table.
        model: name of the exported model.
        images: number that one request makes.
        image_format: of the response.
    """

    name: str
    title: str
    model: str
    images: int
    image_format: str

    def json(self) -> Request:
        """A sample request, as Ganvas and the other servers read it."""
        fields = {"model": self.model, "n": self.images, "seed": 7, "format": self.image_format}
        return Request("/v1/sample", json.dumps(fields).encode(), {"Content-Type": "application/json"})

    def multipart(self, field: str, path: str = "/v1/stylize", **fields: str) -> Request:
        """A stylize request as a form."""
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
        head = f'Content-Disposition: form-data; name="{field}"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        parts.append(head.encode() + photo() + b"\r\n")
        body = b"".join(b"--" + _BOUNDARY.encode() + b"\r\n" + part for part in parts) + f"--{_BOUNDARY}--\r\n".encode()
        return Request(path, body, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})

    def raw(self) -> Request:
        """A stylize request whose body is the photo."""
        return Request("/v1/stylize", photo(), {"Content-Type": "image/jpeg"})


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("sample-1", "sampling, n = 1, png", "toon-heads", 1, "png"),
        Workload("sample-16", "sampling, n = 16, npy", "toon-heads", 16, "npy"),
        Workload("stylize", "styling 512 x 512, jpeg to jpeg", "painters", 1, "jpeg"),
    )
}


def photo() -> bytes:
    """The photo of the documentation as a JPEG of 512 x 512 pixels."""
    with Image.open(PHOTO) as image:
        side = min(image.size)
        square = image.crop((0, 0, side, side)).resize((512, 512))
    file = io.BytesIO()
    square.save(file, "JPEG", quality=90)
    return file.getvalue()
